"""Gather the findings: held-out scores are computed once, and every part is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from prompt_oirl.arrays import FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, LeakageError, ParameterError
from prompt_oirl.evaluation import (
    CrossValidation,
    Estimate,
    chosen_rewards,
    cross_validated_gain,
    policy_value,
    random_prompt_value,
    win_map,
)
from prompt_oirl.evaluation.cost import CostCurve, cost_curve, prompt_tokens
from prompt_oirl.evaluation.data_size import DataSizeCurve, data_size_curve
from prompt_oirl.evaluation.estimate import IntervalMethod
from prompt_oirl.evaluation.headroom import Headroom, headroom
from prompt_oirl.evaluation.portfolio import Portfolio, portfolio
from prompt_oirl.evaluation.risk_coverage import RiskCoverage, risk_coverage
from prompt_oirl.inspection import inspect
from prompt_oirl.policies import best_single_of
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.report.calibration import AdvantageCalibration, calibrate_advantages
from prompt_oirl.report.findings import Findings, GainFindings, LeftOut, Missing
from prompt_oirl.report.held_out import HeldOut, cross_fitted, of_recommender
from prompt_oirl.report.label_audit import LabelAudit, audit_labels
from prompt_oirl.report.leakage import audit_leakage
from prompt_oirl.selection import Candidate, Selection
from prompt_oirl.sources.logged_answers import LoggedAnswer
from prompt_oirl.splits import Grouping, check_unseen

__all__ = ["make_findings"]

_N_RUNS = 5
_T = TypeVar("_T")

NO_ANSWERS = "the answers are not in these logs, so labels could not be checked; make the report of the run itself, or \
of logs with the columns answer and gold"

ONE_PROMPT_FOR_ALL = "this recommender uses one prompt for all queries, so there are no scores to look at"


def make_findings(
    demonstrations: Demonstrations,
    *,
    source: str,
    recommender: Recommender | None = None,
    recommender_name: str | None = None,
    answers: Iterable[LoggedAnswer] = (),
    candidates: Sequence[Candidate] | None = None,
    n_dropped_as_seen: int = 0,
    by: Grouping = "template",
    n_folds: int = 5,
    confidence: float = 0.95,
    level: float = 0.95,
    seed: int = 0,
    made_on: str | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> Findings:
    """Find out whether choosing the prompt per query pays on these logs, and all that a report says about it.

    Without a recommender the logs are judged by cross-fitted selection among the candidates: what training on them
    would give. With one, its choices are judged, and the logs must be held out.

    Args:
        demonstrations: The logs.
        source: What they were read from, to be named in the report.
        recommender: Fitted, if one is to be judged.
        recommender_name: What to call it.
        answers: The rows of the logs, where they have answers, golds or tokens.
        candidates: Reward models and head starts to choose among; the default ones if None.
        n_dropped_as_seen: Queries that were left out because the recommender had seen them.
        by: What makes a group of queries; a recommender brings its own.
        n_folds: Folds of query groups.
        confidence: Of the no-harm rule.
        level: Coverage of the intervals.
        seed: Of all that is drawn at random.
        made_on: The date that the report is to bear.
        on_step: Told what is being done.

    Raises:
        LeakageError: The recommender has seen some of the queries, or near-duplicates of them.
        DataError: There is not one scored trial.
        UnseenPromptError: The logs have a prompt that the recommender does not know.
    """
    if recommender is not None:
        by = recommender.by
        check_unseen(demonstrations.queries, recommender.seen_groups_[by], by=by)
    if not demonstrations.trials.any():
        raise DataError(
            f"{source}: no trial has a reward, so nothing can be said; check how the answers were graded "
            "(prompt-oirl inspect)"
        )
    on_step("looking at the logs")
    judged = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = judged.groups(by)
    rows = list(answers)
    on_step("scoring held-out queries")
    options = _Options(by=by, n_folds=n_folds, confidence=confidence, level=level, seed=seed)
    chosen_among = default_candidates(seed) if candidates is None else tuple(candidates)
    held_out = _attempt(lambda: _judge(judged, recommender, chosen_among, options, groups))
    parts = _Parts(demonstrations, judged, held_out, rows, chosen_among, options, recommender is not None)
    return Findings(
        source=source,
        recommender=recommender_name or (None if recommender is None else recommender.version),
        made_on=made_on,
        by=by,
        level=level,
        seed=seed,
        best_single=parts.best_single,
        inspection=inspect(demonstrations),
        left_out=parts.left_out(n_dropped_as_seen),
        leakage=audit_leakage(groups, judged.repeats, by=by, n_dropped_as_seen=n_dropped_as_seen),
        gain=_attempt(parts.gain),
        selection=_attempt(parts.selection),
        headroom=_step(on_step, "measuring headroom", parts.headroom),
        calibration=_attempt(parts.calibration),
        risk_coverage=_step(on_step, "risk and coverage", parts.risk_coverage),
        data_size=_step(on_step, "learning from fewer queries", parts.data_size),
        label_audit=_step(on_step, "grading the answers again", parts.label_audit),
        cost=_attempt(parts.cost),
        portfolio=_step(on_step, "choosing which prompts to keep", parts.portfolio),
    )


def _attempt(make: Callable[[], _T | Missing]) -> _T | Missing:
    """Return what is made, or why it could not be."""
    try:
        return make()
    except LeakageError:
        raise
    except (DataError, ParameterError) as error:
        return Missing(str(error))


def _step(on_step: Callable[[str], None], what: str, make: Callable[[], _T | Missing]) -> _T | Missing:
    on_step(what)
    return _attempt(make)


@dataclass(frozen=True)
class _Options:
    by: Grouping
    n_folds: int
    confidence: float
    level: float
    seed: int


def _judge(
    demonstrations: Demonstrations,
    recommender: Recommender | None,
    candidates: Sequence[Candidate],
    options: _Options,
    groups: IntArray,
) -> HeldOut | Missing:
    if recommender is not None:
        return of_recommender(recommender, demonstrations, groups=groups)
    tried = np.flatnonzero(demonstrations.trials.any(axis=0))
    if len(tried) < 2:
        return Missing("only one prompt has trials with a reward, so there is nothing to choose; log another one")
    return cross_fitted(
        candidates,
        demonstrations,
        groups=groups,
        n_folds=options.n_folds,
        confidence=options.confidence,
        seed=options.seed,
        n_runs=_N_RUNS,
    )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Makes each part of the findings, or says why there is none."""

    logs: Demonstrations
    judged: Demonstrations
    """The queries of the logs that have a scored trial."""

    held_out: HeldOut | Missing
    answers: Sequence[LoggedAnswer]
    candidates: Sequence[Candidate]
    options: _Options
    is_of_recommender: bool

    @property
    def best_single(self) -> str:
        if isinstance(self.held_out, HeldOut):
            return self.judged.prompt_ids[self.held_out.best_single]
        return self.judged.prompt_ids[best_single_of(self.judged)]

    @property
    def groups(self) -> IntArray:
        return self._found.groups

    @property
    def _found(self) -> HeldOut:
        if isinstance(self.held_out, Missing):
            raise DataError(self.held_out.reason)
        return self.held_out

    @property
    def _scores(self) -> FloatArray:
        if self._found.scores is None:
            raise DataError(ONE_PROMPT_FOR_ALL)
        return self._found.scores

    @property
    def _single_everywhere(self) -> IntArray:
        return np.full(self.judged.n_queries, self._found.best_single)

    def gain(self) -> GainFindings:
        found, level, groups = self._found, self.options.level, self.groups
        first = found.runs[0]
        pairs = _pairs(found.runs)
        paired = ~np.isnan(chosen_rewards(self.judged, first.choices) - chosen_rewards(self.judged, first.baseline))
        return GainFindings(
            value=policy_value(self.judged, first.choices, groups=groups, within=paired, level=level),
            baseline_value=policy_value(self.judged, first.baseline, groups=groups, within=paired, level=level),
            gain=self._gain_of(found.runs),
            gain_by_bootstrap=self._gain_of(found.runs, method="bootstrap"),
            gain_without_rule=self._gain_of(found.without_rule) if found.without_rule else None,
            random_prompt=random_prompt_value(self.judged, groups=groups, level=level),
            share_switched=float(
                np.average(
                    np.mean([choices != baseline for choices, baseline in pairs], axis=0), weights=self.judged.repeats
                )
            ),
            win_map=win_map(self.judged, first.choices, first.baseline, groups=groups, level=level),
            n_runs=len(found.runs),
            reward_model=found.reward_model,
        )

    def _gain_of(self, runs: Sequence[CrossValidation], *, method: IntervalMethod = "normal") -> Estimate:
        options = self.options
        return cross_validated_gain(self.judged, runs, level=options.level, method=method, seed=options.seed)

    def selection(self) -> Selection | Missing:
        if self._found.selection is None:
            return Missing(
                "a recommender that was trained before is judged here, and nothing was selected on these logs"
            )
        return self._found.selection

    def headroom(self) -> Headroom:
        found = self.held_out
        runs = () if isinstance(found, Missing) else found.without_rule or found.runs
        options = self.options
        return headroom(
            self.judged, policy=runs[0] if runs else None, by=options.by, level=options.level, seed=options.seed
        )

    def calibration(self) -> AdvantageCalibration:
        return calibrate_advantages(
            self.judged,
            self._scores,
            best_single=self._found.best_single,
            groups=self.groups,
            level=self.options.level,
        )

    def risk_coverage(self) -> RiskCoverage:
        return risk_coverage(
            self.judged,
            self._scores,
            baseline=self._single_everywhere,
            groups=self.groups,
            level=self.options.level,
        )

    def data_size(self) -> DataSizeCurve | Missing:
        if self.is_of_recommender:
            return Missing(
                "a recommender that was trained before is judged here; make the report without --recommender to see "
                "what training on fewer queries gives"
            )
        whole = self._found

        def gain_at(demonstrations: Demonstrations, seed: int) -> CrossValidation:
            if demonstrations.n_queries == whole.demonstrations.n_queries:
                return whole.runs[(seed - self.options.seed) % len(whole.runs)]
            options = replace(self.options, seed=seed)
            groups = demonstrations.groups(options.by)
            return cross_fitted(
                self.candidates,
                demonstrations,
                groups=groups,
                n_folds=options.n_folds,
                confidence=options.confidence,
                seed=seed,
                n_runs=1,
            ).runs[0]

        seeds = range(self.options.seed, self.options.seed + _n_draws(self.judged.n_queries))
        return data_size_curve(gain_at, self.judged, seeds=seeds, by=self.options.by, level=self.options.level)

    def label_audit(self) -> LabelAudit:
        if not any(row.answer for row in self.answers):
            raise DataError(NO_ANSWERS)
        return audit_labels(self.answers, self.logs.prompt_ids)

    def cost(self) -> CostCurve:
        costs, unit = _costs(self.judged, self.answers)
        return cost_curve(
            self.judged,
            self._scores,
            costs,
            groups=self.groups,
            head_start=self._found.head_start,
            unit=unit,
            level=self.options.level,
        )

    def portfolio(self) -> Portfolio:
        return portfolio(
            self.judged,
            self._scores,
            groups=self.groups,
            head_start=self._found.head_start,
            level=self.options.level,
            seed=self.options.seed,
        )

    def left_out(self, n_dropped_as_seen: int) -> LeftOut:
        found = self.held_out
        n_without_both = 0
        if isinstance(found, HeldOut):
            first = found.runs[0]
            differences = chosen_rewards(self.judged, first.choices) - chosen_rewards(self.judged, first.baseline)
            n_without_both = int(np.isnan(differences).sum())
        logs = self.logs
        return LeftOut(
            n_unscored=int(logs.unscored.sum()),
            n_untried_cells=int(((logs.trials + logs.unscored) == 0).sum()),
            n_queries_without_reward=logs.n_queries - self.judged.n_queries,
            n_queries_without_both=n_without_both,
            n_dropped_as_seen=n_dropped_as_seen,
            prompts_without_trials=tuple(
                id for id, column in zip(logs.prompt_ids, logs.trials.T, strict=True) if not column.any()
            ),
        )


def _n_draws(n_queries: int) -> int:
    """Return how many random parts of each size are learnt from: fewer where each takes longer and varies less."""
    return 5 if n_queries <= 1000 else 3 if n_queries <= 2000 else 2


def _pairs(runs: Sequence[CrossValidation]) -> list[tuple[IntArray, IntArray]]:
    return [(run.choices, run.baseline) for run in runs]


def _costs(demonstrations: Demonstrations, answers: Sequence[LoggedAnswer]) -> tuple[FloatArray, str]:
    """Return (n_prompts,) costs and their unit: the tokens that were logged, or what the wordings add to a request."""
    tokens: dict[str, list[float]] = {}
    for row in answers:
        if row.tokens is not None:
            tokens.setdefault(row.prompt_id, []).append(row.tokens)
    if set(tokens) >= set(demonstrations.prompt_ids):
        return np.array([np.mean(tokens[id]) for id in demonstrations.prompt_ids]), "tokens of question and answer"
    return prompt_tokens(demonstrations.prompts), "tokens of the prompt's wording"
