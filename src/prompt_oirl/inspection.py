"""What is in a set of demonstrations: how much, what is missing, what repeats, and what a second set shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation.estimate import Estimate, Outcomes, estimate
from prompt_oirl.records import Query
from prompt_oirl.splits import group_hashes, is_seen, query_template

__all__ = ["DuplicateGroup", "Duplicates", "Inspection", "Overlap", "PromptCounts", "Repeats", "inspect"]

_N_LARGEST = 5
_N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class PromptCounts:
    """What was logged of one prompt."""

    id: str

    text: str

    trials: int
    """Trials with a reward."""

    successes: int

    unscored: int
    """Trials without a reward: errors, unparsed answers."""

    untried: int
    """Queries that it was never tried on."""

    success_rate: Estimate | None
    """Successes of trials; None where fewer than two query groups have a trial, so that it has no interval."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """What was sampled more than once, and how often two samples of one query × prompt have the same reward."""

    n_cells: int
    """Cells (query × prompt) with more than one trial."""

    n_trials: int
    """Trials in these cells."""

    agreement: Estimate | None
    """Mean over these cells of the probability that two of a cell's trials agree; None without them."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Queries that are the same up to numbers, case and punctuation."""

    template: str

    n_queries: int

    examples: tuple[str, ...]
    """Some of their texts."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Near-duplicates among the distinct queries."""

    n_groups: int
    """Groups of near-duplicates; a query without any is a group."""

    n_groups_of_several: int

    n_queries_in_them: int

    largest: tuple[DuplicateGroup, ...]
    """The largest groups of several queries, the largest first."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a second set of demonstrations has in common with the first."""

    n_queries: int
    """Distinct queries of the second set."""

    n_same_text: int
    """How many of them are in the first as they are."""

    n_same_template: int
    """How many of them are in the first up to numbers, case and punctuation."""

    examples: tuple[str, ...]
    """Some of these."""

    shared_prompts: tuple[str, ...]
    """Ids of the prompts that both have, with the same template."""

    conflicting_prompts: tuple[str, ...]
    """Ids that stand for another template in the second set."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is in a set of demonstrations."""

    n_queries: int

    n_prompts: int

    n_trials: int
    """Trials with a reward."""

    n_unscored: int
    """Trials without a reward."""

    n_cells: int
    """Queries × prompts."""

    n_untried_cells: int
    """Cells without any trial."""

    n_unscored_cells: int
    """Cells with trials, none of which has a reward."""

    prompts: tuple[PromptCounts, ...]

    repeats: Repeats

    duplicates: Duplicates

    overlap: Overlap | None
    """With the second set, if one was given."""

    equal_reward: int | None
    """The reward that all trials have, 0 or 1; None where they differ."""

    @property
    def prompts_without_trials(self) -> tuple[str, ...]:
        """Ids of the prompts without a scored trial: nothing can be learnt about them."""
        return tuple(prompt.id for prompt in self.prompts if not prompt.trials)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, those of the parts included, as JSON can hold them."""
        return asdict(self)


def inspect(demonstrations: Demonstrations, other: Demonstrations | None = None) -> Inspection:
    """Summarise demonstrations.

    Args:
        demonstrations: What to look at.
        other: A second set, such as a test set, to look for in the first.
    """
    is_untried = (demonstrations.trials + demonstrations.unscored) == 0
    return Inspection(
        n_queries=demonstrations.n_queries,
        n_prompts=demonstrations.n_prompts,
        n_trials=int(demonstrations.trials.sum()),
        n_unscored=int(demonstrations.unscored.sum()),
        n_cells=demonstrations.trials.size,
        n_untried_cells=int(is_untried.sum()),
        n_unscored_cells=int(((demonstrations.trials == 0) & ~is_untried).sum()),
        prompts=_prompt_counts(demonstrations),
        repeats=_repeats(demonstrations),
        duplicates=_duplicates(demonstrations.queries),
        overlap=None if other is None else _overlap(demonstrations, other),
        equal_reward=demonstrations.equal_reward,
    )


def _prompt_counts(demonstrations: Demonstrations) -> tuple[PromptCounts, ...]:
    groups = demonstrations.groups()
    untried = ((demonstrations.trials + demonstrations.unscored) == 0).sum(axis=0)
    return tuple(
        PromptCounts(
            id=prompt.id,
            text=prompt.text,
            trials=int(demonstrations.trials[:, column].sum()),
            successes=int(demonstrations.successes[:, column].sum()),
            unscored=int(demonstrations.unscored[:, column].sum()),
            untried=int(untried[column]),
            success_rate=_estimate(
                demonstrations.rewards[:, column],
                demonstrations.trials[:, column],
                groups,
                n_trials=int(demonstrations.trials[:, column].sum()),
            ),
        )
        for column, prompt in enumerate(demonstrations.prompts)
    )


def _repeats(demonstrations: Demonstrations) -> Repeats:
    """Average the unbiased estimate of each repeated cell: agreeing pairs of all pairs of its trials."""
    n, s = demonstrations.trials, demonstrations.successes
    is_repeated = n > 1
    agreement = np.zeros(n.shape)
    np.divide(s * (s - 1) + (n - s) * (n - s - 1), n * (n - 1), out=agreement, where=is_repeated)
    cells_of_query = is_repeated.sum(axis=1)
    mean_of_query = np.full(len(cells_of_query), np.nan)
    np.divide(agreement.sum(axis=1), cells_of_query, out=mean_of_query, where=cells_of_query > 0)
    n_trials = int(n[is_repeated].sum())
    return Repeats(
        n_cells=int(is_repeated.sum()),
        n_trials=n_trials,
        agreement=_estimate(mean_of_query, cells_of_query, demonstrations.groups(), n_trials=n_trials),
    )


def _estimate(shares: FloatArray, weights: IntArray, groups: IntArray, *, n_trials: int) -> Estimate | None:
    """Return the weighted mean of each query's share, None where too few groups have one."""
    outcomes = Outcomes(values=shares, weights=weights.astype(np.float64), groups=groups, n_trials=n_trials)
    try:
        return estimate(outcomes, bounds=(0.0, 1.0))
    except DataError:
        return None


def _duplicates(queries: Sequence[Query]) -> Duplicates:
    texts_of: dict[str, list[str]] = {}
    for query in queries:
        texts_of.setdefault(query_template(query.text), []).append(query.text)
    several = sorted(
        ((template, texts) for template, texts in texts_of.items() if len(texts) > 1), key=lambda item: -len(item[1])
    )
    return Duplicates(
        n_groups=len(texts_of),
        n_groups_of_several=len(several),
        n_queries_in_them=sum(len(texts) for _, texts in several),
        largest=tuple(
            DuplicateGroup(template, len(texts), tuple(texts[:_N_EXAMPLES])) for template, texts in several[:_N_LARGEST]
        ),
    )


def _overlap(first: Demonstrations, second: Demonstrations) -> Overlap:
    same_template = is_seen(second.queries, group_hashes(first.queries))
    known = {prompt.id: prompt for prompt in first.prompts}
    common = [prompt for prompt in second.prompts if prompt.id in known]
    return Overlap(
        n_queries=second.n_queries,
        n_same_text=len(set(first.queries) & set(second.queries)),
        n_same_template=int(same_template.sum()),
        examples=tuple(second.queries[index].text for index in np.flatnonzero(same_template)[:_N_EXAMPLES]),
        shared_prompts=tuple(prompt.id for prompt in common if prompt == known[prompt.id]),
        conflicting_prompts=tuple(prompt.id for prompt in common if prompt != known[prompt.id]),
    )
