"""Gather the findings: held-out scores are computed once, and every part is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, LeakageError, ParameterError
from prompt_oirl.inspection import inspect
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.candidates import default_candidates
from prompt_oirl.report.evidence import Evidence, weigh_evidence
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.held_out import HeldOut, cross_fitted, of_recommender
from prompt_oirl.report.leakage import audit_leakage
from prompt_oirl.report.parts import Options, Parts
from prompt_oirl.selection import Candidate
from prompt_oirl.sources.logged_answers import LoggedAnswer
from prompt_oirl.splits import Grouping, check_unseen

__all__ = ["make_findings"]

_N_RUNS = 5
_T = TypeVar("_T")


def make_findings(
    demonstrations: Demonstrations,
    *,
    source: str,
    recommender: Recommender | None = None,
    recommender_name: str | None = None,
    answers: Iterable[LoggedAnswer] = (),
    grader: str | None = None,
    candidates: Sequence[Candidate] | None = None,
    warnings: Sequence[str] = (),
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
        grader: Name of the grader that the logs were read with; None where they have labels.
        candidates: Reward models and head starts to choose among; the default ones if None.
        warnings: What was found wrong with the logs when they were read, for the report to repeat.
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
    _check(demonstrations, recommender, source=source)
    by = by if recommender is None else recommender.by
    on_step("looking at the logs")
    judged = demonstrations.select_queries(np.flatnonzero(demonstrations.trials.any(axis=1)))
    groups = judged.groups(by)
    on_step("scoring held-out queries")
    options = Options(by=by, n_folds=n_folds, confidence=confidence, level=level, seed=seed, grader=grader)
    chosen_among = default_candidates(seed) if candidates is None else tuple(candidates)
    evidence = weigh_evidence(judged, groups=groups)
    held_out = _attempt(lambda: _judge(judged, recommender, chosen_among, options, groups, evidence))
    parts = Parts(demonstrations, judged, held_out, list(answers), chosen_among, options, recommender)
    gain = _attempt(parts.gain)
    return Findings(
        source=source,
        recommender=recommender_name or (None if recommender is None else recommender.version),
        made_on=made_on,
        by=by,
        level=level,
        seed=seed,
        best_single=parts.best_single,
        best_here=parts.best_here,
        warnings=tuple(warnings),
        inspection=inspect(demonstrations),
        evidence=evidence,
        left_out=parts.left_out(gain, n_dropped_as_seen=n_dropped_as_seen),
        leakage=audit_leakage(groups, judged.repeats, by=by, n_dropped_as_seen=n_dropped_as_seen),
        gain=gain,
        selection=_attempt(parts.selection),
        headroom=_step(on_step, "measuring headroom", parts.headroom),
        calibration=_attempt(parts.calibration),
        risk_coverage=_step(on_step, "risk and coverage", parts.risk_coverage),
        data_size=_step(on_step, "learning from fewer queries", parts.data_size),
        label_audit=_step(on_step, "grading the answers again", parts.label_audit),
        cost=_attempt(parts.cost),
        portfolio=_step(on_step, "choosing which prompts to keep", parts.portfolio),
    )


def _check(demonstrations: Demonstrations, recommender: Recommender | None, *, source: str) -> None:
    if recommender is not None:
        check_unseen(demonstrations.queries, recommender.seen_groups_[recommender.by], by=recommender.by)
    if not demonstrations.trials.any():
        raise DataError(
            f"{source}: no trial has a reward, so nothing can be said; check how the answers were graded "
            "(prompt-oirl inspect)"
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


def _judge(
    demonstrations: Demonstrations,
    recommender: Recommender | None,
    candidates: Sequence[Candidate],
    options: Options,
    groups: IntArray,
    evidence: Evidence,
) -> HeldOut | Missing:
    if not demonstrations.trials.any(axis=0).sum() > 1:
        return Missing("only one prompt has trials with a reward, so there is nothing to choose; log another one")
    n_groups = len(np.unique(groups))
    if n_groups < (options.n_folds if recommender is None else 2):
        return Missing(
            f"{demonstrations.n_queries} queries in {n_groups} group{'s' if n_groups > 1 else ''} of near-duplicates "
            "are too few to learn from some and judge by others; log a few hundred different ones"
        )
    if evidence.n_compared_groups < 2:
        return Missing(evidence.problem)
    if recommender is not None:
        return of_recommender(recommender, demonstrations, groups=groups)
    return cross_fitted(
        candidates,
        demonstrations,
        groups=groups,
        n_folds=options.n_folds,
        confidence=options.confidence,
        seed=options.seed,
        n_runs=_N_RUNS,
    )
