from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, LeakageError
from prompt_oirl.recommender import Recommender
from prompt_oirl.report import write_report
from prompt_oirl.report.findings import Findings, Missing
from prompt_oirl.report.make import make_findings
from prompt_oirl.report.verdict import give_verdict
from prompt_oirl.sources.logged_answers import LoggedAnswer
from prompt_oirl.testing import SyntheticWorld

PARTS = ("gain", "selection", "headroom", "calibration", "risk_coverage", "data_size", "cost", "portfolio")


def test_all_parts_are_found_and_json_can_hold_them(world_findings: Findings) -> None:
    for part in PARTS:
        assert not isinstance(getattr(world_findings, part), Missing), part
    said = json.loads(json.dumps(world_findings.to_dict(), allow_nan=False))
    assert said["gain"]["gain"]["n_queries"] in range(390, 401)
    assert said["headroom"]["by_trials"]["low"] <= said["headroom"]["by_trials"]["high"]
    assert "answers are not in these logs" in said["label_audit"]["missing"]
    assert said["leakage"]["n_groups"] <= said["leakage"]["n_queries"] == 400


def test_the_gain_is_of_choices_by_what_has_not_seen_the_query(world_findings: Findings) -> None:
    assert not isinstance(world_findings.gain, Missing)
    assert world_findings.gain.n_runs == 5
    win_map = world_findings.gain.win_map
    assert sum(each.share for each in win_map) == pytest.approx(1)
    without = world_findings.gain.gain_without_rule
    assert without is not None
    true_headroom = 0.4
    assert -0.1 < without.value < true_headroom


def test_the_same_logs_give_the_same_findings() -> None:
    logs = SyntheticWorld(n_queries=60).demonstrations
    first, second = (make_findings(logs, source="x", n_folds=2).to_dict() for _ in range(2))
    assert first == second


def test_one_prompt_alone_is_no_error() -> None:
    logs = SyntheticWorld(n_queries=60).demonstrations.select_prompts([2])
    found = make_findings(logs, source="x")
    assert isinstance(found.gain, Missing)
    assert isinstance(found.portfolio, Missing)
    assert give_verdict(found).kind == "only one prompt"


def test_a_handful_of_queries_is_no_error() -> None:
    found = make_findings(SyntheticWorld(n_queries=4, missing=0.0).demonstrations, source="x")
    assert isinstance(found.gain, Missing)
    assert give_verdict(found).kind == "too little data"
    assert "4 groups" in found.gain.reason
    assert "fold" not in json.dumps(found.to_dict()), "nobody who makes a page can ask for fewer folds"


def test_logs_with_one_prompt_a_query_have_nothing_to_compare() -> None:
    logs = SyntheticWorld(n_queries=120, missing=0.0).demonstrations
    kept = np.zeros(logs.trials.shape, dtype=bool)
    kept[np.arange(120), np.arange(120) % logs.n_prompts] = True
    found = make_findings(
        Demonstrations(logs.queries, logs.prompts, logs.trials * kept, logs.successes * kept, logs.unscored * kept),
        source="x",
        warnings=["decisions were made with unequal probabilities"],
    )
    assert found.evidence.n_compared_queries == 0
    for part in PARTS:
        missing = getattr(found, part)
        assert isinstance(missing, Missing), part
    assert isinstance(found.headroom, Missing)
    assert "no query was asked with two prompts" in found.headroom.reason
    assert found.to_dict()["warnings"] == ["decisions were made with unequal probabilities"]
    assert give_verdict(found).kind == "too little data"


def test_a_gain_and_what_is_said_beside_it_rest_on_the_same_draws(world_findings: Findings) -> None:
    found, headroom = world_findings.gain, world_findings.headroom
    assert not isinstance(found, Missing)
    assert not isinstance(headroom, Missing)
    assert headroom.by_policy == found.gain_without_rule
    assert world_findings.left_out.n_queries_without_both == found.gain.n_left_out
    assert f"{found.gain.n_queries:,} queries" in str(give_verdict(world_findings))


def test_success_rates_differ_by_the_gain_where_nothing_is_missing() -> None:
    logs = SyntheticWorld(n_queries=150, missing=0.0, unparsable=0.0, repeats=3).demonstrations
    found = make_findings(logs, source="x", n_folds=2, confidence=0.51).gain
    assert not isinstance(found, Missing)
    assert found.share_switched > 0, "or this test tests nothing"
    assert found.value.value - found.baseline_value.value == pytest.approx(found.gain.value)
    assert found.value.n_queries == found.gain.n_queries == 150


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("reward", [0, 1])
def test_equal_rewards_are_noticed(reward: int, repeats: int, tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'prompt-oirl[report]'")
    logs = SyntheticWorld(n_queries=60, missing=0.0, repeats=repeats).demonstrations
    found = make_findings(replace(logs, successes=reward * logs.trials), source="x", n_folds=2)
    assert found.evidence.equal_reward == reward
    assert give_verdict(found).kind == "equal rewards"
    write_report(found, tmp_path / "report.html")


def test_logs_without_a_reward_are_refused() -> None:
    logs = SyntheticWorld(n_queries=10).demonstrations
    nothing = np.zeros_like(logs.trials)
    empty = Demonstrations(logs.queries, logs.prompts, nothing, nothing, logs.trials)
    with pytest.raises(DataError, match=r"logs\.jsonl: no trial has a reward"):
        make_findings(empty, source="logs.jsonl")


def test_what_is_left_out_is_counted() -> None:
    logs = SyntheticWorld(n_queries=80, missing=0.0, unparsable=0.0).demonstrations
    trials, unscored = logs.trials.copy(), logs.unscored.copy()
    unscored[0], trials[0] = trials[0], 0
    trials[1:4, 5] = 0
    found = make_findings(
        Demonstrations(logs.queries, logs.prompts, trials, np.minimum(logs.successes, trials), unscored),
        source="x",
        n_folds=2,
    ).left_out
    assert found.n_unscored == unscored.sum()
    assert found.n_untried_cells == 3
    assert found.n_queries_without_reward == 1


@pytest.fixture(scope="module")
def split() -> tuple[Demonstrations, Demonstrations]:
    return SyntheticWorld(n_queries=200, repeats=2).demonstrations.split(test_size=0.5, seed=0)


def test_a_recommender_is_judged_on_queries_that_it_has_not_seen(split: Any) -> None:
    train, test = split
    recommender = Recommender(n_folds=2).fit(train)
    found = make_findings(test, source="x", recommender=recommender)
    assert found.recommender == recommender.version
    assert not isinstance(found.gain, Missing)
    assert found.gain.gain == recommender.evaluate(test).gain
    assert isinstance(found.selection, Missing)
    assert isinstance(found.data_size, Missing)
    with pytest.raises(LeakageError):
        make_findings(train, source="x", recommender=recommender)


def test_a_recommender_of_one_prompt_has_no_scores_to_show(split: Any) -> None:
    train, test = split
    recommender = Recommender(n_folds=2, confidence=0.999999).fit(train)
    assert not recommender.selection_.pays
    found = make_findings(test, source="x", recommender=recommender)
    for part in (found.calibration, found.risk_coverage, found.cost, found.portfolio):
        assert isinstance(part, Missing)
        assert "one prompt for all queries" in part.reason
    assert not isinstance(found.headroom, Missing)


def test_logged_tokens_are_the_cost_where_every_prompt_has_some() -> None:
    logs = SyntheticWorld(n_queries=80).demonstrations
    rows = [LoggedAnswer("q", id, "5", "5", 1, 10.0 * place) for place, id in enumerate(logs.prompt_ids)]
    found = make_findings(logs, source="x", n_folds=2, answers=rows)
    assert not isinstance(found.cost, Missing)
    assert found.cost.unit == "tokens of question and answer"
    assert {point.name: point.cost.value for point in found.cost.points}[logs.prompt_ids[3]] == pytest.approx(30)
    assert not isinstance(found.label_audit, Missing)
    partly = make_findings(logs, source="x", n_folds=2, answers=rows[1:])
    assert not isinstance(partly.cost, Missing)
    assert partly.cost.unit == "tokens of the prompt's wording"
