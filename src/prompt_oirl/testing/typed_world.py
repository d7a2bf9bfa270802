"""Fast worlds whose every truth is a finite sum: to see whether a statistic holds what it says, a thousand times."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import ParameterError
from prompt_oirl.policies import Policy
from prompt_oirl.records import Prompt, Query

__all__ = ["ATTRIBUTES", "KINDS", "TypedWorld"]

ATTRIBUTES = ("type", "colour", "size")
"""What a query's text tells of it. Only its type has to do with which prompt works."""

KINDS: dict[str, dict[str, Any]] = {
    "no interaction": {"headroom": 0.0},
    "strong": {"headroom": 0.1},
    "few queries": {"n_queries": 80},
    "missing at random": {"missing": 0.3},
    "repeats": {"repeats": (1, 6)},
    "clustered": {"n_queries": 900, "headroom": 0.15, "visible": 0.3, "largest_cluster": 12},
    "half tied": {"headroom": 0.0, "tied": 0.5, "lead": 0.9},
}
"""How worlds of each kind differ from a `TypedWorld` with nothing chosen."""

_SPREADS = (0.0, 0.1, 0.3)

_N_VALUES = 5
"""Colours, and sizes."""

_MOST_CLUSTERS = 100_000
_N_LETTERS = 5
_LAST_DRAW = 26**_N_LETTERS // _MOST_CLUSTERS - 1

_MEAN_LOGIT = -0.2
_DIFFICULTY_SPREAD = 0.8
_LARGEST_SCALE = 16.0


@dataclass(frozen=True)
class TypedWorld:
    """Logs of queries that are of some classes; queries of one class have the same success probabilities.

    A class is a type, which the text tells, and a variant of it, which nothing tells. Classes differ in difficulty and
    in how well each prompt works. So the value of every policy that reads the text is a sum over classes, and exact.
    Near-duplicates are of one class, and alike but for a number.

    Every part is made when first asked for, and the same for the same arguments.

    Raises:
        ParameterError: An argument is outside what is allowed.
    """

    n_queries: int = 600
    """Distinct queries."""

    headroom: float = 0.05
    """What the best prompt for each class gains over the best single prompt. At 0 one prompt is best for all classes,
    by more in some than in others."""

    n_prompts: int = 6

    n_types: int = 8

    n_variants: int = 6
    """Classes of each type."""

    visible: float = 0.5
    """Share of the interaction's variance, in log-odds, that is the type's and not the variant's."""

    concentrated: float = 1.0
    """Share of the classes that have interaction, at least one: the smaller it is, the stronger it is there."""

    prompt_spread: float = 0.2
    """Standard deviation of what the prompts add to the log-odds whatever the query; at 0 with no headroom all prompts
    are equally good."""

    lead: float = 0.0
    """What the first prompt adds to the log-odds above that."""

    tied: float = 0.0
    """Share of the types in which all prompts are equally good but for interaction. Without headroom this is where it
    is hardest not to be fooled: choices there follow luck, and lose nothing by it."""

    repeats: tuple[int, int] = (1, 1)
    """Least and most often that a query is asked; as many trials of each prompt."""

    missing: float = 0.0
    """Share of the trials that are not in the logs, whatever the query, the prompt and the reward."""

    largest_cluster: int = 1
    """Clusters of near-duplicates have from 1 to so many queries, each size as likely."""

    seed: int = 0
    """Of the world: its classes and what succeeds there."""

    draw: int = 0
    """Of the queries and the trials: another draw is new logs of the same world."""

    def __post_init__(self) -> None:
        is_right = 2 <= self.n_queries <= _MOST_CLUSTERS
        _check(is_right, f"n_queries={self.n_queries}: from 2 to {_MOST_CLUSTERS} are needed")
        _check(2 <= self.n_prompts <= 26, f"n_prompts={self.n_prompts}: from 2 to 26 are needed")
        _check(1 <= self.n_types <= 26, f"n_types={self.n_types}: from 1 to 26 are needed")
        _check(self.n_variants >= 1, f"n_variants={self.n_variants}: at least 1 is needed")
        _check(0 <= self.headroom < 1, f"headroom={self.headroom}: a number from 0 to below 1 is needed")
        _check(0 <= self.visible <= 1, f"visible={self.visible}: a share from 0 to 1 is needed")
        _check(0 < self.concentrated <= 1, f"concentrated={self.concentrated}: a share above 0 is needed, at most 1")
        _check(self.prompt_spread >= 0, f"prompt_spread={self.prompt_spread}: at least 0 is needed")
        _check(0 <= self.tied <= 1, f"tied={self.tied}: a share from 0 to 1 is needed")
        _check(1 <= self.repeats[0] <= self.repeats[1], f"repeats={self.repeats}: 1 ≤ least ≤ most is needed")
        _check(0 <= self.missing < 1, f"missing={self.missing}: a share of at least 0 and less than 1 is needed")
        _check(0 <= self.draw <= _LAST_DRAW, f"draw={self.draw}: from 0 to {_LAST_DRAW} is needed")
        _check(self.largest_cluster >= 1, f"largest_cluster={self.largest_cluster}: at least 1 is needed")

    @classmethod
    def of_kind(cls, kind: str, seed: int) -> Self:
        """Return one of the many worlds of a kind; prompts are equally good, close or apart but for interaction.

        Raises:
            ParameterError: There is no such kind.
        """
        if kind not in KINDS:
            raise ParameterError(f"kind={kind!r}: one of {', '.join(KINDS)} is needed")
        return replace(cls(prompt_spread=_SPREADS[seed % len(_SPREADS)], seed=seed), **KINDS[kind])

    def again(self, draw: int, *, n_queries: int | None = None) -> Self:
        """Return the same world with fresh queries and trials."""
        return replace(self, draw=draw, n_queries=self.n_queries if n_queries is None else n_queries)

    # the truth

    @cached_property
    def class_shares(self) -> FloatArray:
        """(n_classes,) the share of each class among queries; classes of one type follow each other."""
        types = np.random.default_rng([self.seed, 0]).dirichlet(np.full(self.n_types, 5.0))
        shares: FloatArray = np.repeat(types / self.n_variants, self.n_variants)
        return shares

    @cached_property
    def rates(self) -> FloatArray:
        """(n_classes, n_prompts) success probabilities.

        Raises:
            ParameterError: No interaction is so strong as to give this headroom.
        """
        rng = np.random.default_rng([self.seed, 1])
        shape = (self.n_types, self.n_variants, self.n_prompts)
        difficulty = rng.normal(_MEAN_LOGIT, _DIFFICULTY_SPREAD, (self.n_types, 1, 1))
        difficulty = difficulty + rng.normal(0, _DIFFICULTY_SPREAD, (*shape[:2], 1))
        of_prompt = rng.normal(0, self.prompt_spread, self.n_prompts) + self.lead * (np.arange(self.n_prompts) == 0)
        is_tied = np.arange(self.n_types) < round(self.tied * self.n_types)
        plain = (difficulty + np.where(is_tied[:, None, None], 0, of_prompt)).reshape(-1, self.n_prompts)
        of_type, of_variant = rng.normal(size=(self.n_types, 1, self.n_prompts)), rng.normal(size=shape)
        interaction = np.sqrt(self.visible) * of_type + np.sqrt(1 - self.visible) * of_variant
        interaction = interaction.reshape(-1, self.n_prompts)
        interaction[rng.permutation(len(interaction))[max(1, round(self.concentrated * len(interaction))) :]] = 0
        return self._with_headroom(plain, interaction - self.class_shares @ interaction)

    def _with_headroom(self, plain: FloatArray, interaction: FloatArray) -> FloatArray:
        """Return the probabilities of log-odds `plain` and so much of the interaction as gives the headroom."""

        def surplus(scale: float) -> float:
            return _headroom(self.class_shares, expit(plain + scale * interaction)) - self.headroom

        if self.headroom == 0:
            scale = 0.0
        elif surplus(_LARGEST_SCALE) <= 0:
            raise ParameterError(
                f"headroom={self.headroom}: the classes of seed {self.seed} reach "
                f"{surplus(_LARGEST_SCALE) + self.headroom:.3f} at most; ask for less"
            )
        else:
            scale = float(brentq(surplus, 0.0, _LARGEST_SCALE))
        rates: FloatArray = expit(plain + scale * interaction)
        return rates

    @cached_property
    def prompt_values(self) -> FloatArray:
        """(n_prompts,) what each prompt is truly worth as the one prompt for all queries."""
        values: FloatArray = self.class_shares @ self.rates
        return values

    @property
    def best_single(self) -> int:
        """Index of the truly best single prompt."""
        return int(self.prompt_values.argmax())

    @property
    def true_headroom(self) -> float:
        """What the best prompt for each class gains over the truly best single prompt: `headroom`, up to rounding."""
        return _headroom(self.class_shares, self.rates)

    def true_value(self, policy: Policy, *, n_fresh: int = 0) -> float:
        """Return the true success rate of a policy.

        Args:
            policy: Reads the texts of queries.
            n_fresh: For a policy that reads more than types, colours and sizes: it is asked about so many fresh
                queries, and so much luck is in the value as its choices differ within types. At 0 the value is exact.
        """
        queries, types = self._fresh(n_fresh) if n_fresh else self._one_of_each
        of_types = (self.class_shares[:, None] * self.rates).reshape(self.n_types, self.n_variants, -1).sum(axis=1)
        values = of_types[types, policy.choose(queries, self.prompts)]
        counts = np.bincount(types, minlength=self.n_types)
        found = np.bincount(types, weights=values, minlength=self.n_types) / np.maximum(counts, 1)
        shares = self.class_shares.reshape(self.n_types, -1).sum(axis=1)
        return float(found.sum() / shares[counts > 0].sum())

    def true_gain(self, policy: Policy, baseline: Policy, *, n_fresh: int = 0) -> float:
        """Return the true value of a policy less that of the baseline; see `true_value`."""
        return self.true_value(policy, n_fresh=n_fresh) - self.true_value(baseline, n_fresh=n_fresh)

    @cached_property
    def _one_of_each(self) -> tuple[tuple[Query, ...], IntArray]:
        """A query of each type, colour and size, and the types."""
        letters = string.ascii_lowercase
        each = product(letters[: self.n_types], letters[:_N_VALUES], letters[:_N_VALUES])
        queries = tuple(Query(f"{_describe(*values)}: any question") for values in each)
        return queries, np.repeat(np.arange(self.n_types), _N_VALUES**2)

    def _fresh(self, n_queries: int) -> tuple[tuple[Query, ...], IntArray]:
        fresh = self.again(_LAST_DRAW, n_queries=n_queries)
        return fresh.queries, fresh.classes // self.n_variants

    # the logs

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts."""
        letters = string.ascii_lowercase[: self.n_prompts]
        return tuple(Prompt.from_text(f"Wording {letter}.", id=letter) for letter in letters)

    @cached_property
    def clusters(self) -> IntArray:
        """(n_queries,) the cluster of near-duplicates of each query: what `Demonstrations.groups` finds."""
        sizes = self._rng(0).integers(1, self.largest_cluster + 1, self.n_queries)
        clusters: IntArray = np.repeat(np.arange(self.n_queries), sizes)[: self.n_queries]
        return clusters

    @cached_property
    def classes(self) -> IntArray:
        """(n_queries,) the class of each query."""
        of_cluster = self._rng(1).choice(len(self.class_shares), self.clusters[-1] + 1, p=self.class_shares)
        classes: IntArray = of_cluster[self.clusters]
        return classes

    @cached_property
    def success_probabilities(self) -> FloatArray:
        """(n_queries, n_prompts)."""
        return self.rates[self.classes]

    @cached_property
    def queries(self) -> tuple[Query, ...]:
        """The queries, cluster by cluster."""
        n_clusters = int(self.clusters[-1]) + 1
        types = self.classes[np.unique(self.clusters, return_index=True)[1]] // self.n_variants
        others = self._rng(2).integers(0, _N_VALUES, (n_clusters, len(ATTRIBUTES) - 1))
        letters, words = string.ascii_lowercase, _words(self.draw * _MOST_CLUSTERS, n_clusters)
        stems = [
            f"{_describe(*(letters[value] for value in values))}: question {word}"
            for values, word in zip(np.column_stack([types, others]).tolist(), words, strict=True)
        ]
        return tuple(Query(f"{stems[cluster]}, {number}") for number, cluster in enumerate(self.clusters.tolist()))

    @cached_property
    def times_asked(self) -> IntArray:
        """(n_queries,) how often each query was asked."""
        return self._rng(3).integers(self.repeats[0], self.repeats[1] + 1, self.n_queries)

    @cached_property
    def trials(self) -> IntArray:
        """(n_queries, n_prompts)."""
        asked = np.broadcast_to(self.times_asked[:, None], self.success_probabilities.shape)
        return np.array(asked) if self.missing == 0 else self._rng(4).binomial(asked, 1 - self.missing)

    @cached_property
    def successes(self) -> IntArray:
        """(n_queries, n_prompts)."""
        return self._rng(5).binomial(self.trials, self.success_probabilities)

    @cached_property
    def demonstrations(self) -> Demonstrations:
        """The logs, counted; queries and prompts are in the order of this world's."""
        return Demonstrations(self.queries, self.prompts, self.trials, self.successes, np.zeros_like(self.trials))

    def _rng(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, 2, self.draw, part])


def _headroom(shares: FloatArray, rates: FloatArray) -> float:
    return float(shares @ rates.max(axis=1) - (shares @ rates).max())


def _describe(*values: str) -> str:
    """Return how a text begins that tells these values of the attributes."""
    return ", ".join(f"{name} {value}" for name, value in zip(ATTRIBUTES, values, strict=True))


def _words(first: int, count: int) -> list[str]:
    """Return a word of its own for each number from the first: words, as numbers are folded in near-duplicates."""
    digits = (first + np.arange(count))[:, None] // 26 ** np.arange(_N_LETTERS) % 26
    return ["".join(letters) for letters in np.array(list(string.ascii_lowercase))[digits].tolist()]


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ParameterError(message)
