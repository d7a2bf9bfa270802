"""Where each prompt wins in the training data: prompts × clusters of alike queries, against the best single prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.gains import gain
from prompt_oirl.evaluation.values import policy_value
from prompt_oirl.randomness import generator

__all__ = ["PromptRow", "QueryCluster", "TrainingWins", "training_wins"]

_N_CLUSTERS = 6
_GROUPS_OF_CLUSTER = 30
_MOST_QUERIES = 5_000
_N_TERMS = 5_000
_N_DIRECTIONS = 30
_N_WORDS = 3


@dataclass(frozen=True, slots=True)
class QueryCluster:
    """Queries with words in common."""

    words: tuple[str, ...]
    """That set the cluster apart; none where there is one cluster only."""

    n_queries: int


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One prompt's training data."""

    prompt_id: str
    trials: int
    success_rate: Estimate | None
    """None where fewer than two groups of queries have a trial."""

    cells: tuple[Estimate | None, ...]
    """One a cluster: the success rate for the best single prompt, the gain over it for the others; None as above."""

    is_best_single: bool


@dataclass(frozen=True, slots=True)
class TrainingWins:
    """Success of fixed prompts on clusters of queries.

    Each prompt is used for a whole cluster, so that nothing is chosen by the rewards that it is then judged by. The
    intervals are one for each cell, not for all at once: of many cells some will look good by chance.
    """

    clusters: tuple[QueryCluster, ...]
    rows: tuple[PromptRow, ...]
    """The best single prompt first, then by success rate."""

    n_queries: int
    """Of the training data; at most 5,000 of them, drawn at random, are in the clusters."""


def training_wins(demonstrations: Demonstrations, best_single: int, *, seed: int = 0) -> TrainingWins:
    """Compare each prompt with the best single prompt on clusters of queries.

    Args:
        demonstrations: The training data.
        best_single: Index of the best single prompt.
        seed: Of the clusters.
    """
    drawn = _draw(demonstrations, seed)
    groups = drawn.groups()
    clusters, cluster_of = _cluster([query.text for query in drawn.queries], groups, seed)
    rows = [_row(drawn, column, best_single, groups, cluster_of) for column in range(drawn.n_prompts)]
    rows.sort(key=lambda row: (not row.is_best_single, -row.success_rate.value if row.success_rate else np.inf))
    return TrainingWins(clusters, tuple(rows), demonstrations.n_queries)


def _draw(demonstrations: Demonstrations, seed: int) -> Demonstrations:
    if demonstrations.n_queries <= _MOST_QUERIES:
        return demonstrations
    rng = generator(seed)
    return demonstrations.select_queries(np.sort(rng.choice(demonstrations.n_queries, _MOST_QUERIES, replace=False)))


def _cluster(texts: list[str], groups: IntArray, seed: int) -> tuple[tuple[QueryCluster, ...], IntArray]:
    """Return the clusters, the largest first, and the (n_queries,) cluster of each query."""
    # Here, because they take longer to import than the rest of the playground, and the service has to start soon.
    from sklearn.cluster import KMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    n_clusters = min(_N_CLUSTERS, len(np.unique(groups)) // _GROUPS_OF_CLUSTER)
    everything = (QueryCluster((), len(texts)),), np.zeros(len(texts), dtype=np.int64)
    if n_clusters < 2:
        return everything
    vectorizer = TfidfVectorizer(stop_words="english", token_pattern=r"(?u)\b[^\W\d_]{3,}\b", max_features=_N_TERMS)
    try:
        terms = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word
        return everything
    n_directions = min(_N_DIRECTIONS, terms.shape[1] - 1)
    if n_directions < n_clusters:
        return everything
    directions = normalize(TruncatedSVD(n_directions, random_state=seed).fit_transform(terms))
    labels = KMeans(n_clusters, n_init=4, random_state=seed).fit_predict(directions)
    by_size = np.argsort(-np.bincount(labels, minlength=n_clusters), kind="stable")
    cluster_of: IntArray = np.argsort(by_size)[labels]
    overall, names = np.asarray(terms.mean(axis=0))[0], vectorizer.get_feature_names_out()
    found = []
    for number in range(n_clusters):
        lift = np.asarray(terms[cluster_of == number].mean(axis=0))[0] - overall
        words = tuple(str(names[term]) for term in np.argsort(-lift)[:_N_WORDS])
        found.append(QueryCluster(words, int((cluster_of == number).sum())))
    return tuple(found), cluster_of


def _row(
    demonstrations: Demonstrations, column: int, best_single: int, groups: IntArray, cluster_of: IntArray
) -> PromptRow:
    pair = demonstrations.select_prompts([best_single] if column == best_single else [best_single, column])
    cells = (_cell(pair, np.flatnonzero(cluster_of == number), groups) for number in range(cluster_of.max() + 1))
    return PromptRow(
        prompt_id=demonstrations.prompts[column].id,
        trials=int(demonstrations.trials[:, column].sum()),
        success_rate=_rate(demonstrations.select_prompts([column]), groups),
        cells=tuple(cells),
        is_best_single=column == best_single,
    )


def _cell(pair: Demonstrations, rows: IntArray, groups: IntArray) -> Estimate | None:
    """Return what the last prompt of the pair gains over the first there; the success rate of one that is alone."""
    there, of_group = pair.select_queries(rows), groups[rows]
    if pair.n_prompts == 1:
        return _rate(there, of_group)
    first: IntArray = np.zeros(len(rows), dtype=np.int64)
    try:
        return gain(there, first + 1, first, groups=of_group)
    except DataError:
        return None


def _rate(demonstrations: Demonstrations, groups: IntArray) -> Estimate | None:
    try:
        return policy_value(demonstrations, np.zeros(demonstrations.n_queries, dtype=np.int64), groups=groups)
    except DataError:
        return None
