"""Findings of made-up situations, and of a small simulated world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prompt_oirl.arrays import IntArray
from prompt_oirl.evaluation import Estimate
from prompt_oirl.evaluation.headroom import Headroom, PowerStatement
from prompt_oirl.inspection import inspect
from prompt_oirl.report.evidence import Evidence
from prompt_oirl.report.findings import Findings, GainFindings, LeftOut, Missing
from prompt_oirl.report.leakage import audit_leakage
from prompt_oirl.report.make import make_findings
from prompt_oirl.selection import Contest, Selection
from prompt_oirl.testing import SyntheticWorld

MakeEstimate = Callable[..., Estimate]
MakeHeadroom = Callable[..., Headroom]
MakeFindings = Callable[..., Findings]


def _estimate(value: float, margin: float, n_queries: int = 1000, **others: Any) -> Estimate:
    found = Estimate(value, value - margin, value + margin, 0.95, n_queries, n_queries, 2 * n_queries, 0)
    return replace(found, **others)


def _headroom(
    verdict: Any = "cannot be told",
    *,
    by_trials: float | None = None,
    beyond: float = 0.01,
    detectable: float = 0.03,
    **others: Any,
) -> Headroom:
    """By default with power; `beyond` is what the model expects of the perfect choice over the floor by trials."""
    power = PowerStatement(
        level=0.95,
        power=0.8,
        n_queries=1000,
        n_prompts=2,
        n_repeats=1,
        n_repeated_queries=0,
        noise=0.2,
        interaction=0.0,
        is_noise_assumed=True,
        detectable_gain=detectable,
        queries_for_one_point=12_345,
        detectable_headroom=None,
        headroom_by_repeats={},
        repeats_for_one_point=4,
    )
    floor = None if by_trials is None else _estimate(by_trials, 0.004)
    found = Headroom(
        by_trials=floor,
        by_policy=_estimate(0.0, 0.01),
        perfect=None if floor is None else _estimate(floor.value + beyond, 0.006),
        ceiling=_estimate(0.2, 0.01),
        is_ceiling_incomplete=False,
        p_value=0.001 if verdict == "found" else 0.5,
        verdict=verdict,
        unrivalled=(),
        variance=None,
        power=power,
        no_power=None,
        n_queries=1000,
        n_groups=1000,
        has_identical_repeats=False,
        largest_group_share=0.001,
        n_prompts=2,
        n_repeated_queries=0 if floor is None else 900,
        level=0.95,
        by="template",
    )
    return replace(found, **others)


@pytest.fixture
def make_estimate() -> MakeEstimate:
    return _estimate


@pytest.fixture
def make_headroom() -> MakeHeadroom:
    return _headroom


@pytest.fixture
def make_situation() -> MakeFindings:
    """Findings of which only what the verdict looks at is there."""

    def make(
        *,
        gain: Estimate | None = None,
        without_rule: Estimate | None = None,
        headroom: Headroom | None = None,
        n_groups: int = 1000,
        n_prompts: int = 2,
        reward_model: str | None = "logistic",
        repeats: int = 1,
        groups: IntArray | None = None,
        **others: Any,
    ) -> Findings:
        logs = SyntheticWorld(n_queries=40, missing=0.0, repeats=repeats).demonstrations
        logs = logs.select_prompts(range(n_prompts))
        groups = np.arange(n_groups) if groups is None else groups
        nothing = Missing("it was not looked for")
        found = (
            nothing
            if gain is None
            else GainFindings(
                value=_estimate(0.6, 0.02),
                baseline_value=_estimate(0.59, 0.02),
                gain=gain,
                gain_by_bootstrap=gain,
                gain_without_rule=without_rule,
                random_prompt=_estimate(0.4, 0.02),
                share_of_best_single=1.0,
                share_switched=0.1,
                win_map=(),
                n_runs=5,
                reward_model=reward_model,
            )
        )
        findings = Findings(
            source="logs.jsonl",
            recommender=None,
            made_on=None,
            by="template",
            level=0.95,
            seed=0,
            best_single="2",
            best_here="2",
            warnings=(),
            inspection=inspect(logs),
            evidence=Evidence(
                n_queries=len(groups),
                n_compared_queries=len(groups),
                n_compared_groups=len(np.unique(groups)),
                n_repeated_queries=len(groups) if repeats > 1 else 0,
                equal_reward=None,
            ),
            left_out=LeftOut(0, 0, 0, 0, 0, ()),
            leakage=audit_leakage(groups, np.ones(len(groups), dtype=np.int64), by="template"),
            gain=found,
            selection=nothing,
            headroom=nothing if headroom is None else headroom,
            calibration=nothing,
            risk_coverage=nothing,
            data_size=nothing,
            label_audit=nothing,
            cost=nothing,
            portfolio=nothing,
        )
        return replace(findings, **others)

    return make


@pytest.fixture(scope="session")
def world_findings() -> Findings:
    """Of a small world in which choosing pays a little, with repeats."""
    world = SyntheticWorld(n_queries=400, repeats=2)
    found = make_findings(world.demonstrations, source="world.jsonl", n_folds=3, made_on="2026-01-02")
    return replace(found, recommender=None)


@pytest.fixture
def refusing_selection() -> Callable[[Findings], Findings]:
    """Has the no-harm rule refuse."""

    def refuse(findings: Findings) -> Findings:
        contest = Contest("logistic", 0.01, gain=_estimate(0.0, 0.01))
        return replace(findings, selection=Selection((contest,), contest, confidence=0.95))

    return refuse
