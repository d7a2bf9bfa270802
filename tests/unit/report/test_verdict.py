from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from prompt_oirl.report.verdict import give_verdict

Make = Callable[..., Any]


def test_it_pays_where_the_interval_is_above_zero(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    gain = make_estimate(0.012, 0.006)
    found = give_verdict(make_situation(gain=gain, without_rule=gain, headroom=make_headroom("found", by_trials=0.04)))
    assert found.kind == "pays"
    assert str(found) == (
        "Choose the prompt per query. That gains +1.2 ± 0.6 points over #2 for every query, measured on 1,000 queries "
        "that were held out; a perfect choice would gain about 5.0."
    )


def test_one_prompt_where_what_was_not_seen_would_have_been(
    make_situation: Make, make_estimate: Make, make_headroom: Make
) -> None:
    found = give_verdict(
        make_situation(
            gain=make_estimate(0.0, 0.0),
            without_rule=make_estimate(0.001, 0.007),
            headroom=make_headroom(detectable=0.0095),
            n_groups=8473,
        )
    )
    assert found.kind == "one prompt"
    assert str(found) == (
        "Use one prompt: #2. Per-query choice gains +0.1 ± 0.7 points here; with 8,473 queries a gain of 1.0 would "
        "have been seen."
    )


@pytest.mark.parametrize(
    ("gain", "without_rule", "headroom", "kind", "says"),
    [
        ((0.012, 0.006), (0.012, 0.006), None, "pays", "+1.2 ± 0.6"),
        ((0.012, 0.006), (0.012, 0.006), {}, "pays", "no choice could gain more than 21.0"),
        ((0.012, 0.012), (0.012, 0.012), {"detectable": 0.01}, "one prompt", "a gain of 1.0 would have been seen"),
        ((0.0, 0.0), (-0.02, 0.01), {"detectable": 0.05}, "one prompt", "−2.0 ± 1.0"),
        ((0.0, 0.0), (0.0, 0.01), {"verdict": "found", "by_trials": 0.04}, "not captured", "at least 3.6 points"),
        ((0.0, 0.0), (0.0, 0.01), {"verdict": "found"}, "not captured", "more is there"),
        ((0.0, 0.0), (0.0, 0.01), {"detectable": 0.0301}, "needs repeats", "a gain of 3.1 would have been seen, not a"),
        ((0.0, 0.0), (0.0, 0.01), None, "needs repeats", "cannot be told"),
        ((0.0, 0.0), (0.0, 0.01), {"by_trials": 0.0}, "too little data", "about 12,345 queries"),
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
    assert give_verdict(refusing_selection(situation)).kind == "not captured"


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
