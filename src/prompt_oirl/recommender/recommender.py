"""Features, reward model and policy in one: fit on logs, recommend a prompt for a query, say what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.evaluation import Evaluation, evaluate
from prompt_oirl.policies import BestOfN, BestSinglePrompt, Policy, best_of_scores
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.recommender.folder import load_folder, save_folder
from prompt_oirl.recommender.recommendation import Recommendation, ScoredPrompt
from prompt_oirl.records import Prompt, Query
from prompt_oirl.selection import Candidate, Selection, select
from prompt_oirl.splits import Grouping, check_unseen, group_hashes, is_seen

__all__ = ["Recommender"]


class Recommender(BaseEstimator):  # type: ignore[misc]
    """Recommend one prompt per query, or one prompt for all where more has not been shown to pay.

    `fit` chooses among the candidates by the cross-validated gain over the best single prompt. Where the lower bound
    of the best candidate's gain is not above zero, every query gets the best single prompt (the no-harm rule).

    Args:
        candidates: Reward models to choose among; the default ones if None.
        n_folds: Folds of query groups in the cross-validation of reward models without a closed form.
        confidence: Of the one-sided lower bound of the no-harm rule.
        by: What makes a group of queries; the default keeps near-duplicates together.
        seed: Of folds and models.

    Attributes:
        prompts_: The prompts that it chooses among.
        best_single_: The policy that always chooses the best single prompt.
        success_rates_: (n_prompts,) of the training demonstrations.
        selection_: Every candidate tried, and what the no-harm rule made of it.
        policy_: What chooses: best-of-N over the selected reward model, or `best_single_`.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate] | None = None,
        *,
        n_folds: int = 5,
        confidence: float = 0.95,
        by: Grouping = "template",
        seed: int = 0,
    ) -> None:
        self.candidates = candidates
        self.n_folds = n_folds
        self.confidence = confidence
        self.by = by
        self.seed = seed

    def fit(self, demonstrations: Demonstrations) -> Self:
        """Choose and fit a reward model.

        Raises:
            DataError: The demonstrations cannot be learnt from.
            ParameterError: There are fewer groups of queries than folds, or an argument is out of its range.
        """
        candidates = default_candidates(self.seed) if self.candidates is None else self.candidates
        best_single = BestSinglePrompt.chosen_on(demonstrations)
        selection = select(
            candidates,
            demonstrations,
            n_folds=self.n_folds,
            confidence=self.confidence,
            by=self.by,
            seed=self.seed,
        )
        self.policy_ = _policy_of(selection, candidates, demonstrations, best_single)
        self.selection_ = selection
        self.best_single_ = best_single
        self.prompts_ = demonstrations.prompts
        self.success_rates_ = demonstrations.success_rates
        self.training_data_hash_ = demonstrations.sha256
        self.seen_groups_ = {by: group_hashes(demonstrations.queries, by) for by in ("template", "question")}
        return self

    def choose(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> IntArray:
        """Return the (n_queries,) index into `prompts` of the recommended prompt: a recommender is a policy.

        Raises:
            NotFittedError: `fit` was not called.
            UnseenPromptError: A prompt was not in training.
        """
        self._check_fitted()
        unseen = [prompt.id for prompt in prompts if prompt not in self.prompts_]
        if unseen:
            raise UnseenPromptError(
                f"prompts {unseen} were not in training; known are {[prompt.id for prompt in self.prompts_]}. "
                "Log trials of them and train again"
            )
        return self.policy_.choose(queries, prompts)

    def recommend(self, query: str) -> Recommendation:
        """Recommend a prompt for one query.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The query is empty.
        """
        return self.recommend_many([query])[0]

    def recommend_many(self, queries: Sequence[str]) -> list[Recommendation]:
        """Recommend a prompt for each of many queries; much faster than one by one.

        Raises:
            NotFittedError: `fit` was not called.
            ParameterError: One text was given instead of a sequence of them.
            DataError: A query is empty.
        """
        self._check_fitted()
        if isinstance(queries, str):
            raise ParameterError(f"queries={queries[:60]!r} is one text; use recommend, or put it in a list")
        asked = [Query(text) for text in queries]
        scores = self._scores(asked)
        choices = best_of_scores(scores, head_start=self._head_start, best_single=self._best_single_index)
        return [self._explain(*each) for each in zip(asked, choices, scores, strict=True)]

    def evaluate(self, test: Demonstrations, *, seed: int = 0) -> Evaluation:
        """Evaluate on held-out demonstrations against the best single prompt of the training demonstrations.

        Raises:
            LeakageError: Test queries, or near-duplicates of them, were in training.
        """
        self._check_fitted()
        check_unseen(test.queries, self.seen_groups_[self.by], by=self.by)
        found = evaluate(self, test, baseline=self.best_single_, by=self.by, seed=seed)
        return replace(found, is_leakage_checked=True)

    def unseen(self, demonstrations: Demonstrations) -> Demonstrations:
        """Return the demonstrations of those queries that were not in training, near-duplicates left out too."""
        self._check_fitted()
        seen = is_seen(demonstrations.queries, self.seen_groups_[self.by], by=self.by)
        return demonstrations.select_queries(np.flatnonzero(~seen))

    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Save to a folder, whole or not at all; see `prompt_oirl.recommender.folder`.

        The candidates that were not selected are not saved: to fit again, make a new `Recommender`.

        Args:
            folder: What to make.
            overwrite: Replace a recommender that is there already; nothing else is ever replaced.

        Raises:
            NotFittedError: `fit` was not called.
            ArtifactError: Something is there already, or a part is of a type that cannot be saved.
        """
        self._check_fitted()
        settings = {name: getattr(self, name) for name in ("n_folds", "confidence", "by", "seed")}
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_")}
        save_folder(Path(folder), {"settings": settings, "fitted": fitted}, self._summary(), overwrite=overwrite)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load what `save` wrote; see `prompt_oirl.recommender.folder`.

        Raises:
            ArtifactError: The folder is missing or incomplete, a byte differs, or its format version is another.
        """
        state = load_folder(Path(folder))
        recommender = cls(**state["settings"])
        for name, value in state["fitted"].items():
            setattr(recommender, name, value)
        return recommender

    def _summary(self) -> dict[str, Any]:
        """Return what the manifest of the saved folder says of this recommender."""
        best, pays = self.selection_.best, self.selection_.pays
        return {
            "training_data_sha256": self.training_data_hash_,
            "prompts": [prompt.id for prompt in self.prompts_],
            "best_single_prompt": self.best_single_.prompt_id,
            "chooses_per_query": pays,
            "reward_model": best.candidate if pays else None,
            "head_start": best.head_start if pays else None,
            "cross_validated_gain": best.gain.to_dict(),
        }

    def _scores(self, queries: Sequence[Query]) -> FloatArray:
        if isinstance(self.policy_, BestOfN):
            return self.policy_.model.score(queries, self.prompts_)
        return np.tile(np.nan_to_num(self.success_rates_), (len(queries), 1))

    def _explain(self, query: Query, choice: int, scores: FloatArray) -> Recommendation:
        others = sorted(np.delete(np.arange(len(scores)), choice), key=lambda i: -np.nan_to_num(scores[i], nan=-np.inf))
        chosen = self.prompts_[choice]
        return Recommendation(
            query=query,
            prompt=chosen,
            score=float(scores[choice]),
            reason=self._reason(chosen, scores),
            runners_up=tuple(ScoredPrompt(self.prompts_[i], float(scores[i])) for i in others),
        )

    def _reason(self, chosen: Prompt, scores: FloatArray) -> str:
        best_single = self.best_single_.prompt_id
        if not isinstance(self.policy_, BestOfN):
            return f"one prompt for all queries: choosing per query has not been shown to beat {best_single!r} here"
        lead = float(scores.max() - scores[self._best_single_index])
        if chosen.id != best_single:
            return f"scores {lead:.3f} above the best single prompt {best_single!r}"
        if lead > 0:
            return f"the best single prompt: another scores {lead:.3f} higher, over {self._head_start:.3f} is needed"
        return "the best single prompt, and the highest score for this query too"

    @property
    def _head_start(self) -> float:
        return self.policy_.head_start if isinstance(self.policy_, BestOfN) else 0.0

    @property
    def _best_single_index(self) -> int:
        return [prompt.id for prompt in self.prompts_].index(self.best_single_.prompt_id)

    def _check_fitted(self) -> None:
        if not hasattr(self, "policy_"):
            raise NotFittedError(
                "this Recommender is not fitted yet; call fit(demonstrations), or Recommender.load(folder)"
            )


def _policy_of(
    selection: Selection,
    candidates: Sequence[Candidate],
    demonstrations: Demonstrations,
    best_single: BestSinglePrompt,
) -> Policy:
    """Return best-of-N over the selected reward model, fitted on everything, or the best single prompt."""
    if not selection.pays:
        return best_single
    best = selection.best
    model = next(candidate.model for candidate in candidates if candidate.name == best.candidate)
    return BestOfN(clone(model).fit(demonstrations), head_start=best.head_start, best_single=best_single.prompt_id)
