"""Make each part of the findings from the same held-out scores, or say why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from prompt_oirl.arrays import BoolArray, FloatArray, IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError
from prompt_oirl.evaluation import (
    CrossValidation,
    Estimate,
    average_value,
    cross_validated_gain,
    random_prompt_value,
    win_map,
)
from prompt_oirl.evaluation.cost import CostCurve, cost_curve, prompt_tokens
from prompt_oirl.evaluation.data_size import DataSizeCurve, data_size_curve
from prompt_oirl.evaluation.estimate import IntervalMethod
from prompt_oirl.evaluation.headroom import Headroom, headroom
from prompt_oirl.evaluation.portfolio import Portfolio, portfolio
from prompt_oirl.evaluation.risk_coverage import RiskCoverage, risk_coverage
from prompt_oirl.policies import best_single_of
from prompt_oirl.recommender import Recommender
from prompt_oirl.report.calibration import AdvantageCalibration, calibrate_advantages
from prompt_oirl.report.findings import GainFindings, LeftOut, Missing
from prompt_oirl.report.held_out import HeldOut, cross_fitted
from prompt_oirl.report.label_audit import LabelAudit, audit_labels
from prompt_oirl.selection import Candidate, Selection
from prompt_oirl.sources.logged_answers import LoggedAnswer
from prompt_oirl.splits import Grouping

__all__ = ["Options", "Parts"]

NO_ANSWERS = (
    "the answers are not in these logs, so labels could not be checked; make the report of the run itself, or of logs "
    "with the columns answer, gold and correct, or answer and gold with a grader"
)

ONE_PROMPT_FOR_ALL = "this recommender uses one prompt for all queries, so there are no scores to look at"


@dataclass(frozen=True)
class Options:
    """How the findings are made: what `make_findings` was asked for."""

    by: Grouping
    n_folds: int
    confidence: float
    level: float
    seed: int
    grader: str | None
    """Name of the grader that the logs were read with."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Makes each part of the findings; a part that cannot be made is `Missing`, or an error that says why.

    Each method but `best_single` and `left_out` raises a `DataError` or `ParameterError` where the logs do not do.
    """

    logs: Demonstrations
    judged: Demonstrations
    """The queries of the logs that have a scored trial."""

    held_out: HeldOut | Missing
    answers: Sequence[LoggedAnswer]
    candidates: Sequence[Candidate]
    options: Options
    recommender: Recommender | None

    @property
    def best_here(self) -> str:
        """Return the id of the prompt that is best for all queries of these very logs."""
        return self.judged.prompt_ids[best_single_of(self.judged)]

    @property
    def best_single(self) -> str:
        """Return the id of the prompt that is best for all queries: where a recommender is judged, by its training."""
        if self.recommender is not None:
            return self.recommender.best_single_.prompt_id
        if isinstance(self.held_out, HeldOut):
            return self.judged.prompt_ids[self.held_out.best_single]
        return self.best_here

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
    def _n_folds(self) -> int | None:
        """Of the scores; None where the model learnt from other logs."""
        return self.options.n_folds if self.recommender is None else None

    @property
    def _single_everywhere(self) -> IntArray:
        return np.full(self.judged.n_queries, self._found.best_single)

    def gain(self) -> GainFindings:
        """Estimate what the choices gain over the best single prompt, and where."""
        found, level, groups = self._found, self.options.level, self._found.groups
        first = found.runs[0]
        pairs = _pairs(found.runs)
        value, baseline_value = (
            average_value(self.judged, side, groups=groups, level=level) for side in zip(*pairs, strict=True)
        )
        return GainFindings(
            value=value,
            baseline_value=baseline_value,
            gain=self._gain_of(found.runs),
            gain_by_bootstrap=self._gain_of(found.runs, method="bootstrap"),
            gain_without_rule=self._gain_of(found.without_rule) if found.without_rule else None,
            random_prompt=random_prompt_value(self.judged, groups=groups, level=level),
            share_of_best_single=self._share([baseline == found.best_single for _, baseline in pairs]),
            share_switched=self._share([choices != baseline for choices, baseline in pairs]),
            win_map=win_map(self.judged, first.choices, first.baseline, groups=groups, level=level),
            n_runs=len(found.runs),
            reward_model=found.reward_model,
        )

    def _share(self, of_draws: Sequence[BoolArray]) -> float:
        return float(np.average(np.mean(of_draws, axis=0), weights=self.judged.repeats))

    def _gain_of(self, runs: Sequence[CrossValidation], *, method: IntervalMethod = "normal") -> Estimate:
        options = self.options
        return cross_validated_gain(self.judged, runs, level=options.level, method=method, seed=options.seed)

    def selection(self) -> Selection | Missing:
        """Return which reward models were tried on these logs, and what the no-harm rule made of it."""
        if self._found.selection is None:
            return Missing(
                "a recommender that was trained before is judged here, and nothing was selected on these logs"
            )
        return self._found.selection

    def headroom(self) -> Headroom:
        """Measure how much a perfect choice could gain; the policy's floor is its gain over all draws of the folds."""
        found, options = self._found, self.options
        runs = found.without_rule or found.runs
        return headroom(self.judged, policy=runs, by=options.by, level=options.level, seed=options.seed)

    def calibration(self) -> AdvantageCalibration:
        """Compare predicted advantages over the best single prompt with what was seen."""
        return calibrate_advantages(
            self.judged,
            self._scores,
            best_single=self._found.best_single,
            groups=self._found.groups,
            level=self.options.level,
        )

    def risk_coverage(self) -> RiskCoverage:
        """Measure the gain against the share of queries for which another prompt is chosen."""
        return risk_coverage(
            self.judged,
            self._scores,
            baseline=self._single_everywhere,
            groups=self._found.groups,
            n_folds=self._n_folds,
            level=self.options.level,
        )

    def data_size(self) -> DataSizeCurve | Missing:
        """Measure the gain of learning from parts of the logs, the no-harm rule left out.

        Where little is logged the rule declines, which says nothing of what could be learnt.
        """
        if self.recommender is not None:
            return Missing(
                "a recommender that was trained before is judged here; make the report without --recommender to see "
                "what training on fewer queries gives"
            )
        whole = self._found

        def gain_at(demonstrations: Demonstrations, seed: int) -> CrossValidation:
            if demonstrations.n_queries == whole.demonstrations.n_queries:
                return whole.without_rule[(seed - self.options.seed) % len(whole.without_rule)]
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
                n_scored_runs=1,
            ).without_rule[0]

        seeds = range(self.options.seed, self.options.seed + _n_draws(self.judged.n_queries))
        return data_size_curve(gain_at, self.judged, seeds=seeds, by=self.options.by, level=self.options.level)

    def label_audit(self) -> LabelAudit:
        """Grade the logged answers again, and compare with their labels."""
        if not any(row.answer for row in self.answers):
            raise DataError(NO_ANSWERS)
        return audit_labels(self.answers, self.logs.prompt_ids, labels_by=self.options.grader)

    def cost(self) -> CostCurve:
        """Measure what each token or unit of money that is saved or spent does to the value."""
        costs, unit = _costs(self.judged, self.answers)
        return cost_curve(
            self.judged,
            self._scores,
            costs,
            groups=self._found.groups,
            n_folds=self._n_folds,
            head_start=self._found.head_start,
            unit=unit,
            level=self.options.level,
        )

    def portfolio(self) -> Portfolio:
        """Find the fewest prompts that keep nearly all of the value."""
        return portfolio(
            self.judged,
            self._scores,
            groups=self._found.groups,
            n_folds=self._n_folds,
            head_start=self._found.head_start,
            level=self.options.level,
            seed=self.options.seed,
        )

    def left_out(self, gain: GainFindings | Missing, *, n_dropped_as_seen: int) -> LeftOut:
        """Count what the findings do not rest on."""
        logs = self.logs
        return LeftOut(
            n_unscored=int(logs.unscored.sum()),
            n_untried_cells=int(((logs.trials + logs.unscored) == 0).sum()),
            n_queries_without_reward=logs.n_queries - self.judged.n_queries,
            n_queries_without_both=0 if isinstance(gain, Missing) else gain.gain.n_left_out,
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
