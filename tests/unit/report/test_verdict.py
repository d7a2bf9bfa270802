from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from prompt_oirl.report.evidence import Evidence
from prompt_oirl.report.verdict import give_verdict

Make = Callable[..., Any]


def test_it_pays_where_the_interval_is_above_zero(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    gain = make_estimate(0.012, 0.006, 265)  # of 1,000 queries that were logged
    found = give_verdict(make_situation(gain=gain, without_rule=gain, headroom=make_headroom("found", by_trials=0.04)))
    assert found.kind == "pays"
    assert str(found) == (
        "Choose the prompt per query. That gains +1.2 ± 0.6 points over #2 for every query, measured on 265 queries "
        "that were held out; a perfect choice would gain about 5.0."
    )


def test_a_rival_that_is_another_prompt_in_some_folds_is_said_to_be(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    gain = make_estimate(0.012, 0.006)
    headroom = make_headroom("found", by_trials=0.04)
    for share, rival in ((0.6, "the best single prompt, which is #2 in the folds of 60\u00a0% of the queries"),
                         (0.0, "the best single prompt, another one in each fold")):  # fmt: skip
        pays = make_situation(gain=gain, without_rule=gain, headroom=headroom)
        pays = replace(pays, gain=replace(pays.gain, share_of_best_single=share))
        assert f"gains +1.2 ± 0.6 points over {rival}, measured" in str(give_verdict(pays))
        not_shown = make_situation(gain=make_estimate(0.0, 0.01), without_rule=gain, headroom=headroom)
        not_shown = replace(not_shown, gain=replace(not_shown.gain, share_of_best_single=share))
        assert f"gains +1.2 ± 0.6 points here over {rival}, +0.0" in str(give_verdict(not_shown))


def test_a_recommender_must_gain_over_the_prompt_that_is_best_now(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    """Not only over the one that was best in its training."""
    gain = make_estimate(0.135, 0.025)
    over_now = make_estimate(-0.115, 0.02)
    here = {"gain": gain, "best_here": "1", "recommender": "recommender/"}
    found = give_verdict(make_situation(**here, headroom=make_headroom(by_policy=over_now)))
    assert found.kind == "another prompt"
    assert str(found) == (
        "Train again, and use one prompt until then: #1. The recommender gains +13.5 ± 2.5 points over #2, the best "
        "one in its training, but loses 11.5 ± 2.0 points over #1, the best one for all queries of these logs."
    )
    gains_both = make_situation(**here, headroom=make_headroom(by_policy=make_estimate(0.02, 0.01)))
    assert give_verdict(gains_both).kind == "pays"
    same_best = make_situation(**(here | {"best_here": "2"}), headroom=make_headroom(by_policy=over_now))
    assert give_verdict(same_best).kind == "pays"


def test_one_prompt_where_what_was_not_seen_would_have_been(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    found = give_verdict(
        make_situation(
            gain=make_estimate(0.0, 0.0, 8473),
            without_rule=make_estimate(0.001, 0.007),
            headroom=make_headroom(detectable=0.0095),
            n_groups=9000,
        )
    )
    assert found.kind == "one prompt"
    assert str(found) == (
        "Use one prompt: #2. Per-query choice gains +0.1 ± 0.7 points here; with 8,473 queries a gain of 1.0 would "
        "have been seen four times of five, a smaller one less often."
    )


@pytest.mark.parametrize(
    ("gain", "without_rule", "headroom", "kind", "says"),
    [
        ((0.012, 0.006), (0.012, 0.006), None, "pays", "1.2 ± 0.6"),
        ((0.012, 0.006), (0.012, 0.006), {}, "pays", "no choice could gain more than 21.0"),
        ((0.012, 0.012), (0.012, 0.012), {"detectable": 0.01}, "one prompt", "a gain of 1.0 would have been seen"),
        ((0.0, 0.0), (-0.02, 0.01), {"detectable": 0.05}, "one prompt", "does harm here: it loses 2.0 ± 1.0"),
        ((0.0, 0.0), (0.0, 0.01), {"verdict": "found", "by_trials": 0.04}, "not captured", "at least 3.6 points"),
        ((0.0, 0.0), (0.0, 0.01), {"verdict": "found"}, "not captured", "but there is headroom"),
        ((0.0, 0.0), (0.0, 0.01), {"detectable": 0.0301}, "needs repeats", "3.1 would have been seen four times"),
        ((0.0, 0.0), (0.0, 0.01), None, "needs repeats", "cannot be told"),
        ((0.0, 0.0), (0.0, 0.01), {"verdict": "not found", "by_trials": 0.0, "detectable": 0.02}, "one prompt", "2.0"),
        (None, None, None, "too little data", "could not be measured"),
    ],
)
def test_every_situation_has_its_words(
    make_situation: Make,
    make_estimate: Make,
    make_headroom: Make,
    gain: tuple[float, float] | None,
    without_rule: tuple[float, float] | None,
    headroom: dict[str, Any] | None,
    kind: str,
    says: str,
) -> None:
    found = give_verdict(
        make_situation(
            gain=None if gain is None else make_estimate(*gain),
            without_rule=None if without_rule is None else make_estimate(*without_rule),
            headroom=None if headroom is None else make_headroom(**headroom),
        )
    )
    assert found.kind == kind
    assert says in str(found)
    assert "#2" in str(found)


@pytest.mark.parametrize("gain", [(0.2, 0.01), (0.0, 0.01), (-0.2, 0.01)])
def test_few_groups_are_too_few_whatever_was_gained(
    make_situation: Make, make_estimate: Make, gain: tuple[float, float]
) -> None:
    found = give_verdict(make_situation(gain=make_estimate(*gain), n_groups=29))
    assert found.kind == "too little data"
    assert "29 different queries" in found.evidence


def test_where_repeats_are_there_more_of_them_are_not_asked_for(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    situation = {"gain": make_estimate(0.0, 0.0), "without_rule": make_estimate(0.0, 0.01)}
    found = give_verdict(make_situation(**situation, headroom=make_headroom(by_trials=0.0), repeats=2))
    assert found.kind == "too little data"
    assert "about 12,345 queries" in found.evidence
    none = give_verdict(make_situation(**situation, headroom=make_headroom()))
    assert none.kind == "needs repeats"


def test_near_duplicates_are_no_different_queries(make_situation: Make, make_estimate: Make) -> None:
    gain = make_estimate(0.2, 0.01)
    one = give_verdict(make_situation(gain=gain, groups=np.zeros(300, dtype=np.int64)))
    assert one.kind == "too little data"
    assert "hold 1 group of near-duplicate queries" in one.evidence
    few = give_verdict(make_situation(gain=gain, groups=np.arange(300) % 12))
    assert "hold 12 groups of near-duplicate queries" in few.evidence


def test_a_group_with_most_of_the_queries_says_nothing_of_others(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    groups = np.maximum(np.arange(1000) - 799, 0)
    situation = make_situation(gain=make_estimate(0.03, 0.01), headroom=make_headroom("found"), groups=groups)
    found = give_verdict(situation)
    assert found.kind == "too little data"
    assert "80\u00a0% of what was asked is one group of near-duplicate queries" in found.evidence
    assert "would have been seen" not in found.evidence


@pytest.mark.parametrize(("n_compared", "says"), [(0, "No query was asked with two prompts"), (12, "Only 12 of 400")])
def test_prompts_that_share_no_queries_cannot_be_compared(
    make_situation: Make, make_estimate: Make, make_headroom: Make, n_compared: int, says: str
) -> None:
    situation = make_situation(
        gain=make_estimate(0.03, 0.01) if n_compared else None,
        headroom=make_headroom(detectable=2.154),
        n_groups=400,
        evidence=Evidence(400, n_compared, n_compared, 0, None),
    )
    found = give_verdict(situation)
    assert found.kind == "too little data"
    assert found.evidence.startswith(says)
    assert "ask every query with every prompt" in found.evidence
    assert "evaluate --off-policy" in found.evidence
    assert not re.search("would have been seen|twice|215", found.evidence)


def test_where_most_queries_saw_one_prompt_others_are_asked_for_and_no_repeats(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    situation = make_situation(
        gain=make_estimate(0.0, 0.02), headroom=make_headroom(), evidence=Evidence(1500, 40, 40, 0, None)
    )
    found = give_verdict(situation)
    assert found.kind == "too little data"
    assert "only 40 of 1,500 queries" in found.evidence
    assert "twice" not in found.evidence


@pytest.mark.parametrize(("value", "kind"), [(0.0, "too little data"), (0.03, "pays")])
def test_a_verdict_on_logs_with_unequal_propensities_says_that_it_is_biased(
    make_situation: Make, make_estimate: Make, make_headroom: Make, value: float, kind: str
) -> None:
    situation = make_situation(
        gain=make_estimate(value, 0.02), headroom=make_headroom(), warnings=("logs.jsonl: rates are biased",)
    )
    found = give_verdict(situation)
    assert found.kind == kind, "and not that repeats would help"
    assert found.evidence.endswith("; beware, the warning about these logs goes for this, too.")
    assert "twice" not in found.evidence


@pytest.mark.parametrize(("reward", "what"), [(0, "wrong"), (1, "right")])
def test_rewards_that_are_all_equal_are_a_matter_for_the_grader(
    make_situation: Make, make_estimate: Make, reward: int, what: str
) -> None:
    situation = make_situation(gain=make_estimate(0.0, 0.0), evidence=Evidence(1000, 1000, 1000, 0, reward))
    found = give_verdict(situation)
    assert found.kind == "equal rewards"
    assert "Check the grader and the labels" in found.action
    assert what in found.action
    few = make_situation(gain=make_estimate(0.0, 0.0), evidence=Evidence(20, 20, 20, 0, reward), n_groups=20)
    assert give_verdict(few).kind == "too little data"


def test_a_gain_above_what_the_model_expects_is_not_said_to_be_above_perfect(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    gain = make_estimate(0.153, 0.03)
    headroom = make_headroom("found", by_trials=0.13, beyond=0.006)
    found = give_verdict(make_situation(gain=gain, headroom=headroom))
    assert found.kind == "pays"
    assert "as much as the model of headroom expects of a perfect choice" in found.evidence
    assert "13.6" not in found.evidence


def test_a_choice_that_is_the_best_single_prompt_everywhere_has_not_gained_nothing(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    situation = make_situation(
        gain=make_estimate(0.0, 0.0), without_rule=make_estimate(0.0, 0.0), headroom=make_headroom()
    )
    found = give_verdict(situation)
    assert "keeps #2 for every query" in found.evidence
    assert "± 0.0" not in found.evidence


def test_one_prompt_alone_leaves_nothing_to_choose(make_situation: Make) -> None:
    found = give_verdict(make_situation(n_prompts=1, n_groups=500))
    assert found.kind == "only one prompt"
    assert "the same 500 queries" in found.evidence


def test_a_recommender_that_uses_one_prompt_is_said_to(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    situation = make_situation(
        gain=make_estimate(0.0, 0.0), headroom=make_headroom(detectable=0.015), reward_model=None
    )
    assert "This recommender uses it for every query already" in str(give_verdict(situation))


def test_a_gain_that_the_rule_does_not_allow_is_not_told_to_be_used(
    make_situation: Make, make_estimate: Make, make_headroom: Make, refusing_selection: Make
) -> None:
    situation = make_situation(gain=make_estimate(0.012, 0.006), headroom=make_headroom("found", by_trials=0.04))
    assert give_verdict(situation).kind == "pays"
    refused = give_verdict(refusing_selection(situation))
    assert refused.kind == "not captured"
    assert "gains +1.2 ± 0.6 points here, too little for the no-harm rule, but" in refused.evidence


def test_a_gain_that_is_shown_without_the_rule_alone_is_told_with_it(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    situation = make_situation(
        gain=make_estimate(0.004, 0.004),
        without_rule=make_estimate(0.006, 0.005),
        headroom=make_headroom("found", by_trials=0.04),
    )
    found = give_verdict(situation)
    assert found.kind == "not captured"
    assert "gains +0.6 ± 0.5 points here, +0.4 ± 0.4 with the no-harm rule, but at least" in found.evidence


def test_a_verdict_is_two_sentences(make_situation: Make, make_estimate: Make, make_headroom: Make) -> None:
    for verdict in ("found", "not found", "cannot be told"):
        for by_trials in (None, 0.0, 0.04):
            for gain in (-0.02, 0.0, 0.02):
                for n_groups in (20, 1000):
                    found = give_verdict(
                        make_situation(
                            gain=make_estimate(gain, 0.01),
                            headroom=make_headroom(verdict, by_trials=by_trials),
                            n_groups=n_groups,
                        )
                    )
                    assert len(re.findall(r"[.!?](?= |$)", str(found))) == 2, str(found)
                    assert found.to_dict()["text"] == str(found)
