"""Counters in Prometheus' text format."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.metrics import Metrics
from prompt_oirl.serve.protocols import LogState

DECISION = Decision(
    query_id="0" * 16,
    query="the text of a query",
    prompt_id="think",
    score=0.5,
    propensity=1.0,
    choice="recommended",
    source="recommend",
    recommender="0123456789ab",
    seconds=0.0003,
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for f in families for each in f.samples}


def test_everything_that_is_counted_is_shown(log) -> None:
    metrics = Metrics(lambda: "0123456789ab", log)
    log.n_dropped, log.n_waiting = 7, 3
    metrics.observe_decision(DECISION)
    metrics.observe_decision(DECISION)
    metrics.observe_decision(replace(DECISION, choice="fallback", source="gateway", seconds=0.2))
    metrics.count_failure("late")
    metrics.count_feedback()
    metrics.upstream_answered(200, 0.2)
    metrics.upstream_answered(502, 0.1)
    shown = samples(metrics)
    assert shown["prompt_oirl_decisions_total", (("choice", "recommended"), ("source", "recommend"))] == 2
    assert shown["prompt_oirl_decisions_total", (("choice", "fallback"), ("source", "gateway"))] == 1
    assert shown["prompt_oirl_decision_seconds_count", ()] == 3
    assert shown["prompt_oirl_decision_seconds_bucket", (("le", "0.0005"),)] == 2
    assert shown["prompt_oirl_scoring_failures_total", (("kind", "late"),)] == 1
    assert shown["prompt_oirl_scoring_failures_total", (("kind", "failed"),)] == 0
    assert shown["prompt_oirl_feedback_total", ()] == 1
    assert shown["prompt_oirl_upstream_responses_total", (("status", "200"),)] == 1
    assert shown["prompt_oirl_upstream_responses_total", (("status", "502"),)] == 1
    assert shown["prompt_oirl_upstream_seconds_count", ()] == 2
    assert shown["prompt_oirl_decisions_dropped_total", ()] == 7
    assert shown["prompt_oirl_decisions_waiting", ()] == 3
    assert shown["prompt_oirl_recommender_info", (("version", "0123456789ab"),)] == 1
    assert shown["process_resident_memory_bytes", ()] > 0


def test_what_changes_elsewhere_is_asked_for_each_time(log) -> None:
    versions = iter(["first", "second"])
    metrics = Metrics(lambda: next(versions), log)
    assert ("prompt_oirl_recommender_info", (("version", "first"),)) in samples(metrics)
    log.n_dropped = 1
    shown = samples(metrics)
    assert ("prompt_oirl_recommender_info", (("version", "second"),)) in shown
    assert shown["prompt_oirl_decisions_dropped_total", ()] == 1


@pytest.mark.parametrize("state", ["writing", "failing", "ended"])
def test_the_state_of_the_log_is_the_one_that_is_1(log, state: Literal["writing", "failing", "ended"]) -> None:
    log.state = LogState(state)
    shown = samples(Metrics(None, log))
    states = ("writing", "failing", "ended")
    values = {each: shown["prompt_oirl_decision_log_state", (("state", each),)] for each in states}
    assert values == {each: float(each == state) for each in states}


def test_two_services_count_apart_and_no_log_is_not_shown() -> None:
    one, other = Metrics(), Metrics()
    one.count_feedback()
    assert samples(one)["prompt_oirl_feedback_total", ()] == 1
    assert samples(other)["prompt_oirl_feedback_total", ()] == 0
    assert b"dropped" not in other.render()
    assert b"decision_log" not in other.render()


def test_queries_are_never_labels() -> None:
    metrics = Metrics()
    metrics.observe_decision(DECISION)
    assert b"the text of a query" not in metrics.render()
    assert DECISION.id.encode() not in metrics.render()
