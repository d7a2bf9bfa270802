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
from prompt_oirl.errors import ArtifactError, NotFittedError, ParameterError, UnseenPromptError
from prompt_oirl.evaluation import Evaluation, evaluate
from prompt_oirl.evaluation.unseen_prompts import UnseenPrompts, can_score_unseen, validate_unseen
from prompt_oirl.policies import BestOfN, BestSinglePrompt, Policy, reliable_rates
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.recommender.description import describe
from prompt_oirl.recommender.explanation import Explanation
from prompt_oirl.recommender.extra_prompts import WithUnseen, unseen_among
from prompt_oirl.recommender.folder import StoredDemonstrations, load_folder, save_folder, version_of_state
from prompt_oirl.recommender.logged_queries import LoggedQueries
from prompt_oirl.recommender.prepared import PreparedRecommender
from prompt_oirl.recommender.ranking import Ranking
from prompt_oirl.recommender.recommendation import Recommendation
from prompt_oirl.records import Prompt, Query
from prompt_oirl.selection import Candidate, Selection, select
from prompt_oirl.splits import Grouping, check_unseen, group_hashes, is_seen

__all__ = ["Recommender"]

_SETTINGS = ("n_folds", "n_runs", "confidence", "by", "seed")
_FITTED = (
    "policy_",
    "selection_",
    "best_single_",
    "prompts_",
    "success_rates_",
    "reliable_rates_",
    "training_data_hash_",
    "seen_groups_",
    "unseen_prompts_",
)
_STATE_NAMES = {"settings": _SETTINGS, "fitted": _FITTED}
_SAVED_BEFORE = {"unseen_prompts_": UnseenPrompts("it was not measured when this recommender was trained")}
"""What stands for attributes that a folder of an earlier format version lacks."""

_SETTINGS_BEFORE: dict[str, Any] = {"n_runs": 1}
"""The same of settings."""

_TRIAL_QUERY = "How many apples are left?"


class Recommender(BaseEstimator):  # type: ignore[misc]
    """Recommend one prompt per query, or one prompt for all where more has not been shown to pay.

    `fit` chooses among the candidates by the cross-validated gain over the best single prompt. Where the lower bound
    of the best candidate's gain is not above zero, every query gets the best single prompt (the no-harm rule).

    Args:
        candidates: Reward models to choose among; the default ones if None.
        n_folds: Folds of query groups in the cross-validation of reward models.
        n_runs: How often the folds are drawn, for reward models that leave them out in closed form; see `select`.
        confidence: Of the one-sided lower bound of the no-harm rule.
        by: What makes a group of queries; the default keeps near-duplicates together.
        seed: Of folds and models.

    Attributes:
        prompts_: The prompts that it chooses among.
        best_single_: The policy that always chooses the best single prompt.
        success_rates_: (n_prompts,) of the training demonstrations.
        reliable_rates_: (n_prompts,) what the best single prompt is chosen by; see `prompt_oirl.policies`.
        selection_: Every candidate tried, and what the no-harm rule made of it.
        policy_: What chooses: best-of-N over the selected reward model, or `best_single_`.
        unseen_prompts_: Whether prompts that were not in training may win, and on what evidence.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate] | None = None,
        *,
        n_folds: int = 10,
        n_runs: int = 10,
        confidence: float = 0.95,
        by: Grouping = "template",
        seed: int = 0,
    ) -> None:
        self.candidates = candidates
        self.n_folds = n_folds
        self.n_runs = n_runs
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
            n_runs=self.n_runs,
            confidence=self.confidence,
            by=self.by,
            seed=self.seed,
        )
        policy = _policy_of(selection, candidates, demonstrations, best_single)
        self.unseen_prompts_ = self._validate_unseen(policy, demonstrations)
        self.policy_ = policy
        self.selection_ = selection
        self.best_single_ = best_single
        self.prompts_ = demonstrations.prompts
        self.success_rates_ = demonstrations.success_rates
        self.reliable_rates_ = reliable_rates(demonstrations)
        self.training_data_hash_ = demonstrations.sha256
        self.seen_groups_ = {by: group_hashes(demonstrations.queries, by) for by in ("template", "question")}
        self._demonstrations: Demonstrations | StoredDemonstrations | None = demonstrations
        self._logged_queries: LoggedQueries | None = None
        self._version: str | None = None
        return self

    def _validate_unseen(self, policy: Policy, demonstrations: Demonstrations) -> UnseenPrompts:
        if not isinstance(policy, BestOfN):
            return UnseenPrompts("one prompt serves all queries")
        return validate_unseen(
            policy.model,
            demonstrations,
            head_start=policy.head_start,
            n_folds=self.n_folds,
            confidence=self.confidence,
            by=self.by,
            seed=self.seed,
        )

    @property
    def demonstrations_(self) -> Demonstrations | None:
        """The training demonstrations, read on first use where this was loaded; None where they were not kept.

        Raises:
            NotFittedError: `fit` was not called.
            ArtifactError: The file in the folder that this was loaded from is missing, was changed, or cannot be read.
        """
        self._check_fitted()
        if isinstance(self._demonstrations, StoredDemonstrations):
            self._demonstrations = self._demonstrations.read()
        return self._demonstrations

    @property
    def version(self) -> str:
        """What tells this recommender from others: 12 hexadecimal digits.

        Of the manifest's sha256 where it was loaded from a folder, of its state's where not.

        Raises:
            NotFittedError: `fit` was not called.
            ArtifactError: It was not loaded, and a part is of a type that cannot be saved.
        """
        self._check_fitted()
        if self._version is None:
            self._version = version_of_state(self._state())
        return self._version

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

    def recommend(self, query: str, *, extra_prompts: Sequence[Prompt] = ()) -> Recommendation:
        """Recommend a prompt for one query; see `recommend_many`.

        Raises:
            NotFittedError: `fit` was not called.
            ParameterError: Something else than one text was given.
            DataError: The query is empty.
        """
        if not isinstance(query, str):
            raise ParameterError(f"query={query!r:.60} is no text; give one, or use recommend_many for a list of them")
        return self.recommend_many([query], extra_prompts=extra_prompts)[0]

    def recommend_many(self, queries: Sequence[str], *, extra_prompts: Sequence[Prompt] = ()) -> list[Recommendation]:
        """Recommend a prompt for each of many queries; much faster than one by one.

        Args:
            queries: The texts.
            extra_prompts: Candidates beside the training prompts. Those that were not in training are marked as unseen,
                and win only where `unseen_prompts_` has the evidence for it.

        Raises:
            NotFittedError: `fit` was not called.
            ParameterError: One text was given instead of a sequence of them.
            DataError: A query is empty, or an extra prompt has the id or the wording of another.
        """
        self._check_fitted()
        if isinstance(queries, str):
            raise ParameterError(f"queries={queries[:60]!r} is one text; use recommend, or put it in a list")
        asked = [Query(text) for text in queries]
        scores = self.prepare().scores_of(asked)
        unseen = unseen_among(extra_prompts, self.prompts_)
        if not unseen:
            return self.ranking.recommendations(asked, scores)
        may_win = self._scores_unseen and self.unseen_prompts_.may_win
        ranked = WithUnseen(self.ranking, unseen, may_win=may_win, why=self.unseen_prompts_.reason)
        return ranked.recommendations(asked, scores, self._scores_of_unseen(asked, unseen))

    def explain(self, query: str, *, n_nearest: int = 5, extra_prompts: Sequence[Prompt] = ()) -> Explanation:
        """Recommend a prompt for one query, and say what the recommendation rests on.

        The first call reads the training demonstrations where this was loaded, and may learn a similarity of texts.

        Args:
            query: The text.
            n_nearest: Number of logged queries like it to show.
            extra_prompts: As for `recommend_many`.

        Raises:
            NotFittedError: `fit` was not called.
            DataError: The query is empty.
            ParameterError: `n_nearest` is negative.
            ArtifactError: The demonstrations cannot be read.
        """
        if n_nearest < 0:
            raise ParameterError(f"n_nearest={n_nearest}: 0 or more is needed")
        made = self.recommend(query, extra_prompts=extra_prompts)
        ranking, logged = self.ranking, self._find_logged_queries()
        return Explanation.of(
            made,
            best_single=self.best_single_.prompt_id,
            head_start=ranking.head_start,
            may_unseen_win=self._scores_unseen and self.unseen_prompts_.may_win,
            nearest=None if logged is None else logged.nearest(query, n_nearest),
        )

    def _find_logged_queries(self) -> LoggedQueries | None:
        demonstrations = self.demonstrations_
        if self._logged_queries is None and demonstrations is not None:
            model = self.policy_.model if isinstance(self.policy_, BestOfN) else None
            self._logged_queries = LoggedQueries.of(demonstrations, model)
        return self._logged_queries

    def prepare(self) -> PreparedRecommender:
        """Return the recommender made ready to answer fast: the same one until `fit` is called again.

        Raises:
            NotFittedError: `fit` was not called.
        """
        self._check_fitted()
        prepared: PreparedRecommender | None = getattr(self, "_prepared", None)
        if prepared is None or prepared.policy is not self.policy_:
            prepared = self._prepared = PreparedRecommender(self)
        return prepared

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

    def save(self, folder: Path | str, *, overwrite: bool = False, with_demonstrations: bool = True) -> None:
        """Save to a folder, whole or not at all; see `prompt_oirl.recommender.folder`.

        The candidates that were not selected are not saved: to fit again, make a new `Recommender`.

        Args:
            folder: What to make.
            overwrite: Replace a recommender that is there already; nothing else is ever replaced.
            with_demonstrations: Whether the training demonstrations, with the texts of all queries, are kept in the
                folder for explanations and the playground.

        Raises:
            NotFittedError: `fit` was not called.
            ArtifactError: Something is there already, or a part is of a type that cannot be saved.
        """
        self._check_fitted()
        demonstrations = self.demonstrations_ if with_demonstrations else None
        save_folder(Path(folder), self._state(), self._summary(), demonstrations=demonstrations, overwrite=overwrite)

    def _state(self) -> dict[str, Any]:
        return {kind: {name: getattr(self, name) for name in names} for kind, names in _STATE_NAMES.items()}

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load what `save` wrote; see `prompt_oirl.recommender.folder`.

        A query is recommended a prompt on trial, so that a library that cannot read the model is found out here.

        Raises:
            ArtifactError: The folder is missing or incomplete, a byte differs, its format version is another, or a
                library cannot read it.
        """
        saved = load_folder(Path(folder))
        try:
            recommender = cls._of_state(saved.state)
            recommender._demonstrations = saved.demonstrations
            recommender._version = saved.version
            recommender.recommend(_TRIAL_QUERY)
        except Exception as error:
            raise ArtifactError(
                f"{folder} was loaded but cannot recommend: {type(error).__name__}: {error}; install what is "
                f"missing or the versions named in {folder}/manifest.json, or train and save again"
            ) from error
        return recommender

    @classmethod
    def _of_state(cls, state: Any) -> Self:
        """Return the recommender of a state, nothing of which has been looked at.

        Raises:
            ValueError: It has other parts than a recommender.
            KeyError: It has not even settings and fitted attributes.
            TypeError: It is something else altogether.
        """
        settings, fitted = _SETTINGS_BEFORE | dict(state["settings"]), dict(state["fitted"])
        fitted = _SAVED_BEFORE | {"reliable_rates_": fitted.get("success_rates_")} | fitted
        if set(settings) != set(_SETTINGS) or set(fitted) != set(_FITTED):
            raise ValueError(f"it has the parts {sorted({*settings, *fitted})}, not those of a recommender")
        recommender = cls(**settings)
        for name, value in fitted.items():
            setattr(recommender, name, value)
        recommender._logged_queries = None
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
            "features": describe(self.policy_.model) if isinstance(self.policy_, BestOfN) else None,
            "cross_validated_gain": best.gain.to_dict(),
            "no_harm_rule": _rule_of(self.selection_),
            "unseen_prompts": self.unseen_prompts_.to_dict(),
        }

    def _scores_of_unseen(self, queries: Sequence[Query], prompts: Sequence[Prompt]) -> FloatArray:
        if isinstance(self.policy_, BestOfN) and self._scores_unseen:
            return self.policy_.model.score(queries, prompts)
        return np.full((len(queries), len(prompts)), np.nan)

    @property
    def _scores_unseen(self) -> bool:
        return isinstance(self.policy_, BestOfN) and can_score_unseen(self.policy_.model)

    @property
    def ranking(self) -> Ranking:
        """How scores become a recommendation."""
        return Ranking(
            prompts=self.prompts_,
            reliable_rates=self.reliable_rates_,
            best_single=[prompt.id for prompt in self.prompts_].index(self.best_single_.prompt_id),
            head_start=self.policy_.head_start if isinstance(self.policy_, BestOfN) else 0.0,
            chooses_per_query=isinstance(self.policy_, BestOfN),
        )

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


def _rule_of(selection: Selection) -> dict[str, Any]:
    """Return what the manifest says of the bound that decided."""
    names = ("lower_bound", "confidence", "critical_value", "n_contests", "is_corrected")
    described = selection.to_dict()
    return {name: described[name] for name in names}
