"""Policies: each picks one prompt for every query, over a reward model or as a baseline to beat.

The release's selection rules (paper arXiv 2309.06553, code at https://github.com/holarissun/Prompt-OIRL) are: "IRL 0",
`BestOfN` asked about the training prompts; "all mixed", `BestOfN` asked about training and held-out prompts together;
"IRL 10" and "IRL 100", `FallbackBestOfN` with 10 or 100 held-out prompts; "BoTr", the best single prompt, chosen on the
test set there; "LMSC", `SelfCritique`.

A choice depends on the query and the prompts alone, never on the other queries of the batch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, ParameterError, UnseenPromptError
from prompt_oirl.records import Prompt, Query
from prompt_oirl.reward.protocol import RewardModel

__all__ = [
    "BestOfN",
    "BestSinglePrompt",
    "FallbackBestOfN",
    "Oracle",
    "Policy",
    "RandomPrompt",
    "SelfCritique",
    "best_of_scores",
    "best_single_of",
    "best_single_prompt_chosen_on_test",
    "reliable_rates",
]

_FEWEST_SHARED = 30
"""Queries tried with several prompts from which on prompts are compared within queries."""

_PRIOR_SPREAD = 0.1
"""Standard deviation of how much prompts are expected to differ in success rate."""

_ONE_SIDED = 1.645
"""Standard errors to the end of a one-sided 95 % interval."""


@runtime_checkable
class Policy(Protocol):
    """Picks one prompt for each query."""

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index into `prompts` of the prompt chosen for each query.

        Raises:
            ParameterError: There is no prompt to choose from.
            UnseenPromptError: A prompt that the policy needs is not among `prompts`, or one of them cannot be judged.
        """
        ...


@dataclass(frozen=True)
class BestOfN:
    """Choose the prompt with the highest score (paper arXiv 2309.06553, step 3: argmax over Υ).

    Ties go to the best single prompt if one is named, else to the first prompt.

    Raises:
        ParameterError: The head start is negative or not finite, or given without a prompt to give it to.
    """

    model: RewardModel
    """A fitted reward model."""

    _: KW_ONLY

    head_start: float = 0.0
    """Added to the best single prompt's scores: another prompt is chosen only if its score is higher by more."""

    best_single: str | None = None
    """Id of the best single prompt."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.head_start) and self.head_start >= 0):
            raise ParameterError(f"head_start={self.head_start}: a finite number of at least 0 is needed")
        if self.head_start > 0 and self.best_single is None:
            raise ParameterError(f"head_start={self.head_start} needs best_single, the id of the prompt to give it to")

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index of the best scored prompt; see `Policy`."""
        single = None if self.best_single is None else _position(self.best_single, prompts)
        return best_of_scores(_scores(self.model, queries, prompts), head_start=self.head_start, best_single=single)


def best_of_scores(
    scores: FloatArray, *, head_start: float = 0.0, best_single: int | IntArray | None = None
) -> IntArray:
    """Choose as `BestOfN` does, from scores that are at hand.

    Args:
        scores: (n_queries, n_prompts) scores without NaN, higher for better.
        head_start: Added to the best single prompt's scores.
        best_single: Index of the best single prompt, or a (n_queries,) index of each query's (each fold has its own).

    Returns:
        (n_queries,) prompt index; ties go to the best single prompt if given, else to the first.
    """
    highest: IntArray = scores.argmax(axis=1)
    if best_single is None:
        return highest
    rows = np.arange(len(scores))
    choices: IntArray = np.where(scores[rows, best_single] + head_start >= scores[rows, highest], best_single, highest)
    return choices


@dataclass(frozen=True)
class BestSinglePrompt:
    """Choose one prompt for every query: the baseline that counts."""

    prompt_id: str

    @classmethod
    def chosen_on(cls, demonstrations: Demonstrations) -> Self:
        """Choose the best single prompt of training demonstrations, by `reliable_rates`; ties go to the first.

        Where every prompt was tried as often on every query, that is the one with the highest success rate. Where
        trials are missing, prompts are compared on the queries that they share, and each counts for what can be relied
        on: few lucky trials make no best prompt. Prompts without a scored trial are not considered.

        Raises:
            DataError: No prompt has a scored trial.
        """
        return cls(demonstrations.prompts[best_single_of(demonstrations)].id)

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the same index for every query; see `Policy`."""
        return np.full(len(queries), _position(self.prompt_id, prompts))


def best_single_of(demonstrations: Demonstrations) -> int:
    """Return the index of the best single prompt; see `BestSinglePrompt.chosen_on`.

    Raises:
        DataError: No prompt has a scored trial.
    """
    rates = reliable_rates(demonstrations)
    if np.isnan(rates).all():
        raise DataError(
            f"none of the {demonstrations.n_prompts} prompts has a trial with a reward, so none can be best; "
            "log some, or check how they were graded"
        )
    return int(np.nanargmax(rates))


def reliable_rates(demonstrations: Demonstrations) -> FloatArray:
    """Return (n_prompts,) the success rate that each prompt can be relied on for; NaN for one without a scored trial.

    Where every prompt that was tried at all was tried as often on every query, the success rates as they are: luck and
    hard queries came to all alike. Where trials are missing, the mean rate plus what can be relied on of what each
    prompt adds to it:

    - Prompts are compared within queries, by the least squares of reward = query effect + prompt effect, weighted by
      trials. So a prompt gains nothing by having been tried on easy queries only. Where fewer than 30 queries were
      tried with several prompts this cannot be done, and success rates are compared: they mislead where prompts were
      not given queries at random.
    - What a prompt adds is drawn towards 0, as by a normal prior with a standard deviation of 10 points: by as much as
      25 trials of an average prompt would, where the mean rate is one half. The prior is fixed, because a handful of
      prompts cannot tell how much prompts differ.
    - Off comes 1.645 times the standard deviation that its number of trials leaves, the distance to a one-sided 95 %
      bound: what few lucky trials seem to show is not relied on. It is the same for all where trials are.
    """
    trials, successes = demonstrations.trials, demonstrations.successes
    is_tried = trials.any(axis=0)
    if not is_tried.any() or _is_tried_alike(trials[:, is_tried]):
        return demonstrations.success_rates
    mean = float((successes.sum() + 0.5) / (trials.sum() + 1))
    is_shared = (trials > 0).sum(axis=1) > 1
    if is_shared.sum() < _FEWEST_SHARED:
        effects = _reliable_effects(trials, successes, mean=mean, within_queries=False)
    else:
        effects = _reliable_effects(trials[is_shared], successes[is_shared], mean=mean, within_queries=True)
    rates: FloatArray = np.where(is_tried, mean + effects, np.nan)
    return rates


def _is_tried_alike(trials: IntArray) -> bool:
    return bool((trials == trials[:, :1]).all())


def _reliable_effects(trials: IntArray, successes: IntArray, *, mean: float, within_queries: bool) -> FloatArray:
    """Return (n_prompts,) what can be relied on of what each prompt adds; see `reliable_rates`."""
    noise = mean * (1 - mean)
    n_trials = trials.sum(axis=0)
    if within_queries:
        share = trials / trials.sum(axis=1, keepdims=True)
        information = np.diag(n_trials) - trials.T @ share
        surplus = successes.sum(axis=0) - share.T @ successes.sum(axis=1)
    else:
        information = np.diag(n_trials)
        surplus = successes.sum(axis=0) - mean * n_trials
    prior = 1 / _PRIOR_SPREAD**2
    effects: FloatArray = np.linalg.solve(information / noise + prior * np.eye(len(n_trials)), surplus / noise)
    effects -= _ONE_SIDED / np.sqrt(n_trials / noise + prior)
    return effects


def best_single_prompt_chosen_on_test(test: Demonstrations) -> BestSinglePrompt:
    """Choose the best single prompt by looking at the test set, as the release computes "BoTr".

    No user could have chosen so, and its value is biased upwards: use it to reproduce published numbers only, and
    `BestSinglePrompt.chosen_on` the training demonstrations for everything else.
    """
    return BestSinglePrompt.chosen_on(test)


@dataclass(frozen=True)
class FallbackBestOfN:
    """Choose among the training prompts, or among the fallback prompts where none of those is likely to work.

    The release's "IRL 10": the argmax over the training prompts, but where the best of their scores is under the
    threshold, the argmax over the held-out prompts. `choose` is asked about all of them together. Ties go to the first.

    Raises:
        ParameterError: The model gives no probabilities, the threshold is no probability, or there is no fallback.
    """

    model: RewardModel
    """A fitted reward model whose scores are probabilities, able to score the fallback prompts."""

    fallback_prompts: Sequence[Prompt]
    """The held-out prompts; every other prompt asked about is a training prompt."""

    _: KW_ONLY

    threshold: float = 0.5

    def __post_init__(self) -> None:
        if not self.model.gives_probabilities:
            raise ParameterError(
                f"the scores of {type(self.model).__name__} are no probabilities and cannot be compared with the "
                f"threshold {self.threshold}; use BestOfN, or a model that gives probabilities"
            )
        if not 0 <= self.threshold <= 1:
            raise ParameterError(f"threshold={self.threshold}: a probability from 0 to 1 is needed")
        if not self.fallback_prompts:
            raise ParameterError("fallback_prompts is empty: without any, use BestOfN")

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index of the chosen prompt; see `Policy`.

        Raises:
            ParameterError: All prompts are fallback prompts.
            UnseenPromptError: A fallback prompt is not among `prompts`.
        """
        fallback = np.array([_position(prompt.id, prompts) for prompt in self.fallback_prompts])
        training = np.setdiff1d(np.arange(len(prompts)), fallback)
        if not len(training):
            raise ParameterError(f"all {len(prompts)} prompts are fallback prompts; add the training prompts")
        scores = _scores(self.model, queries, prompts)
        is_doubtful = scores[:, training].max(axis=1) < self.threshold
        best_training = training[scores[:, training].argmax(axis=1)]
        best_fallback = fallback[scores[:, fallback].argmax(axis=1)]
        choices: IntArray = np.where(is_doubtful, best_fallback, best_training)
        return choices


@dataclass(frozen=True)
class SelfCritique:
    """Choose the prompt whose answer the LLM itself is most confident of (the paper's "LMSC").

    Needs an answer and a critique from the LLM for every query × prompt. Ties go to the first prompt, and the
    True/False verdict is not used: so the nine published values are met to three decimals, and by none of the ways of
    using the verdict that were tried. To let it count, pass confidences negated where it was False.
    """

    confidence: Mapping[Query, Mapping[str, float]]
    """Query → prompt id → confidence; a pair without a critique is left out or NaN, and chosen last."""

    @classmethod
    def from_array(cls, queries: Sequence[Query], prompts: Sequence[Prompt], confidence: FloatArray) -> Self:
        """Take (n_queries, n_prompts) confidences, NaN where there is no critique.

        Raises:
            DataError: The shape is another, or a query occurs twice.
        """
        if confidence.shape != (len(queries), len(prompts)):
            raise DataError(
                f"confidence has shape {confidence.shape}, but there are {len(queries)} queries × "
                f"{len(prompts)} prompts"
            )
        if len(set(queries)) < len(queries):
            raise DataError(
                f"{len(queries) - len(set(queries))} of {len(queries)} queries are repeats; "
                "average the confidences of a repeated query first"
            )
        ids = [prompt.id for prompt in prompts]
        return cls({query: dict(zip(ids, row, strict=True)) for query, row in zip(queries, confidence, strict=True)})

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index of the prompt with the most confident answer; see `Policy`.

        Raises:
            DataError: A query is unknown.
            UnseenPromptError: A prompt has no critique of any of the queries known.
        """
        _check_prompts(prompts)
        _check_known_queries(queries, self.confidence)
        _check_known_prompts(prompts, {id for row in self.confidence.values() for id in row})
        rows = [[self.confidence[query].get(prompt.id, np.nan) for prompt in prompts] for query in queries]
        return _argmax_known(np.array(rows, dtype=np.float64).reshape(len(queries), len(prompts)))


@dataclass(frozen=True)
class RandomPrompt:
    """Choose at random, each prompt equally often; `evaluation.random_prompt_value` is its value in expectation.

    The choice is a function of seed, query and prompts, so it is the same in any batch and for any order of prompts.
    """

    seed: int

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return a (n_queries,) random index for each query; see `Policy`."""
        _check_prompts(prompts)
        draws = [[self._draw(query, prompt) for prompt in prompts] for query in queries]
        choices: IntArray = np.array(draws, dtype=np.uint64).reshape(len(queries), len(prompts)).argmax(axis=1)
        return choices

    def _draw(self, query: Query, prompt: Prompt) -> int:
        text = f"{self.seed}\n{prompt.id}\n{query.text}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


@dataclass(frozen=True)
class Oracle:
    """Choose, for each query, the prompt with the highest logged reward: an upper bound that no policy can reach.

    It knows the outcomes that it is judged by, so with one sample a cell its value contains that sample's luck.
    Ties go to the first prompt.
    """

    demonstrations: Demonstrations
    """The demonstrations that it will be evaluated on."""

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index of the prompt with the highest reward; see `Policy`.

        Raises:
            DataError: A query is not in the demonstrations.
            UnseenPromptError: A prompt is not in the demonstrations.
        """
        _check_prompts(prompts)
        rows = {query: row for row, query in enumerate(self.demonstrations.queries)}
        columns = {id: column for column, id in enumerate(self.demonstrations.prompt_ids)}
        _check_known_queries(queries, rows)
        _check_known_prompts(prompts, columns.keys())
        asked = self.demonstrations.rewards[np.array([rows[query] for query in queries], dtype=np.int64)]
        return _argmax_known(asked[:, [columns[prompt.id] for prompt in prompts]])


def _argmax_known(scores: FloatArray) -> IntArray:
    """Return the (n_queries,) argmax where NaN is less than anything."""
    choices: IntArray = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    return choices


def _scores(model: RewardModel, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
    """Return a copy of the model's (n_queries, n_prompts) scores, checked."""
    _check_prompts(prompts)
    if not queries:
        return np.empty((0, len(prompts)))
    scores: FloatArray = np.array(model.score(queries, prompts), dtype=np.float64)
    if scores.shape != (len(queries), len(prompts)):
        raise DataError(
            f"{type(model).__name__} gave scores of shape {scores.shape} for {len(queries)} queries × "
            f"{len(prompts)} prompts; see RewardModel.score"
        )
    if np.isnan(scores).any():
        raise DataError(
            f"{type(model).__name__} gave {np.isnan(scores).sum()} NaN of {scores.size} scores, which cannot be "
            "compared; check the features that it was given"
        )
    return scores


def _position(prompt_id: str, prompts: Sequence[Prompt]) -> int:
    """Return the index of the prompt with this id."""
    _check_prompts(prompts)
    ids = [prompt.id for prompt in prompts]
    if prompt_id not in ids:
        raise UnseenPromptError(f"prompt {prompt_id!r} is needed, but is not among the prompts asked about: {ids}")
    return ids.index(prompt_id)


def _check_prompts(prompts: Sequence[Prompt]) -> None:
    if not prompts:
        raise ParameterError("prompts is empty: at least one prompt to choose from is needed")


def _check_known_queries(queries: Sequence[Query], known: Mapping[Query, object]) -> None:
    unknown = [query for query in queries if query not in known]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(queries)} queries are unknown to this policy, which can only look up what was "
            f"logged, for example {unknown[0].text[:60]!r}; ask about logged queries, or use BestOfN"
        )


def _check_known_prompts(prompts: Sequence[Prompt], known: AbstractSet[str]) -> None:
    unknown = [prompt.id for prompt in prompts if prompt.id not in known]
    if unknown:
        raise UnseenPromptError(f"prompts {unknown} are unknown to this policy, which knows {sorted(known)}")
