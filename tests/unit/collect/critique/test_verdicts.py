from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.collect.critique.verdicts import Verdict, read_verdict
from prompt_oirl.errors import ParameterError

TABLE: list[tuple[str, tuple[bool, float] | None]] = [
    # the form that is asked for
    ("Verdict: correct\nProbability: 85%", (True, 0.85)),
    ("Verdict: incorrect\nProbability: 10%", (False, 0.1)),
    ("verdict: CORRECT\nprobability: 85 %", (True, 0.85)),
    ("**Verdict:** Correct\n**Probability:** 85%", (True, 0.85)),
    ("**Verdict**: *incorrect*\n\n**Probability**: `5%`\n", (False, 0.05)),
    ("- Verdict: correct\n- Probability: 92.5%", (True, 0.925)),
    ("Verdict: correct, probability: 85%", (True, 0.85)),
    ("Verdict = incorrect; Probability = 0.2", (False, 0.2)),
    ("Verdict:\ncorrect\nProbability:\n85%", (True, 0.85)),
    ("# Verdict: correct\n# Probability: 85%\nThank you!", (True, 0.85)),
    ("| Verdict: | correct |\n| Probability: | 85% |", (True, 0.85)),
    ("Verdict: [incorrect]\nProbability: [0%]", (False, 0.0)),
    ("Verdict: <correct>\nProbability: <100%>", (True, 1.0)),
    ("Verdict: not correct\nProbability: 3%", (False, 0.03)),
    ("Verdict: the answer is wrong.\nProbability: 15%", (False, 0.15)),
    ("Verdict: $\\boxed{correct}$\nProbability: $85\\%$", (True, 0.85)),
    ('{"verdict": "correct", "probability": 0.85}', (True, 0.85)),
    ("{'verdict': 'incorrect', 'probability': '15%'}", (False, 0.15)),
    ('{"is_correct": false, "confidence": 12}', (False, 0.12)),
    # how a number is read
    ("Verdict: correct\nProbability: 0.85", (True, 0.85)),
    ("Verdict: correct\nProbability: .85", (True, 0.85)),
    ("Verdict: correct\nProbability: 0,85", (True, 0.85)),
    ("Verdict: correct\nProbability: 85", (True, 0.85)),
    ("Verdict: correct\nProbability: 85 percent", (True, 0.85)),
    ("Verdict: correct\nProbability: 85 per cent", (True, 0.85)),
    ("Verdict: correct\nProbability: 85/100", (True, 0.85)),
    ("Verdict: correct\nProbability: 9 out of 10", (True, 0.9)),
    ("Verdict: correct\nProbability: 1", (True, 1.0)),
    ("Verdict: correct\nProbability: 1.0", (True, 1.0)),
    ("Verdict: incorrect\nProbability: 1%", (False, 0.01)),
    ("Verdict: incorrect\nProbability: 0", (False, 0.0)),
    ("Verdict: correct\nProbability: about 85%", (True, 0.85)),
    ("Verdict: correct\nProbability: ~85%, as step 2 is sloppy", (True, 0.85)),
    ("Verdict: correct\nProbability: I would say 85%.", (True, 0.85)),
    # other labels and texts around
    ("Verdict: correct\nConfidence: 85%", (True, 0.85)),
    ("Judgment: correct\nProbability that the answer is correct: 85%", (True, 0.85)),
    ("Verdict: correct\nProbability (0-100): 85", (True, 0.85)),
    ("Correct: yes\nProbability of being correct: 70%", (True, 0.7)),
    ("The price rises by 20% to $36, as it says.\n\nVerdict: correct\nProbability: 95%", (True, 0.95)),
    ("The chance of a red ball: 3/8. That is what it says.\nVerdict: correct\nProbability: 97%", (True, 0.97)),
    ("Verdict: correct\nProbability: 80%\nOn reflection:\nVerdict: incorrect\nProbability: 20%", (False, 0.2)),
    ("The answer is incorrect. My confidence is 0.1", (False, 0.1)),
    ("Correct. The probability is 85%.", (True, 0.85)),
    # without a label
    ("Correct, 85%", (True, 0.85)),
    ("Incorrect (10%)", (False, 0.1)),
    ("True 0.9", (True, 0.9)),
    ("The answer is right.\n85%", (True, 0.85)),
    ("I am 85% sure that the answer is correct.", (True, 0.85)),
    ("There is a 20% chance that it's right.", (True, 0.2)),
    # a verdict alone is certain
    ("Correct.", (True, 1.0)),
    ("incorrect", (False, 0.0)),
    ("False", (False, 0.0)),
    ("**True**", (True, 1.0)),
    ("Verdict: incorrect", (False, 0.0)),
    ("No, the sum is 12.", (False, 0.0)),
    ("4 + 8 = 12, so the answer is correct.", (True, 1.0)),
    ("4 + 8 = 12, so the answer isn't correct.", (False, 0.0)),
    ("The first step is right. The answer is clearly wrong.", (False, 0.0)),
    # a probability alone says which verdict
    ("Probability: 85%", (True, 0.85)),
    ("Probability: 0.2", (False, 0.2)),
    ("Probability: 50%", (True, 0.5)),
    ("85", (True, 0.85)),
    ("0.85", (True, 0.85)),
    ("85%.", (True, 0.85)),
    ("Verdict: partially correct\nProbability: 40%", (False, 0.4)),
    ("Verdict: correct or incorrect\nProbability: 40%", (False, 0.4)),
    # both are kept where they disagree
    ("Verdict: incorrect\nProbability: 95%", (False, 0.95)),
    # what cannot be read
    ("", None),
    ("   \n", None),
    ("I cannot tell.", None),
    ("Verdict: correct\nProbability: 150%", None),
    ("Verdict: correct\nProbability: 101", None),
    ("Verdict: correct\nProbability: 12/10", None),
    ("Verdict: correct\nProbability: 5/0", None),
    ("Verdict: correct\nProbability: -5%", None),
    ("Verdict: correct\nProbability: 80-90%", None),
    ("Verdict: correct\nProbability: 80% to 90%", None),
    ("Verdict: correct\nProbability: between 80 and 90%", None),
    ("Verdict: correct\nProbability: high", None),
    ("Verdict: correct\nProbability:", None),
    ("Verdict: correct or incorrect\nProbability: 0-100%", None),
    ("Verdict: correct/incorrect", None),
    ("The correct answer: 18 dollars", None),
    ("Tom has 18 apples.", None),
    ("150", None),
]


PARTS = [
    "Verdict: ",
    "Probability ",
    "correct ",
    "incorrect",
    "is ",
    "0",
    "9",
    ".",
    ",",
    "/",
    "-",
    ":",
    " ",
    "\n",
    "%",
    "a",
]


@pytest.mark.parametrize(("reply", "expected"), TABLE, ids=range(len(TABLE)))
def test_a_reply_is_read_as_it_says(reply: str, expected: tuple[bool, float] | None) -> None:
    assert read_verdict(reply) == (None if expected is None else Verdict(*expected))


def test_a_verdict_that_disagrees_with_its_probability_is_known() -> None:
    assert Verdict(False, 0.95).is_contradictory
    assert Verdict(True, 0.2).is_contradictory
    assert not Verdict(True, 0.5).is_contradictory
    assert not Verdict(False, 0.5).is_contradictory


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_a_probability_is_one(probability: float) -> None:
    with pytest.raises(ParameterError, match="from 0 to 1"):
        Verdict(True, probability)


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=20).map("".join))
def test_whatever_the_reply_it_has_a_verdict_or_none(reply: str) -> None:
    verdict = read_verdict(reply)
    assert verdict is None or (isinstance(verdict, Verdict) and 0 <= verdict.probability <= 1)


@given(st.lists(st.sampled_from(PARTS), max_size=20).map("".join))
def test_case_and_emphasis_do_not_matter(reply: str) -> None:
    assert read_verdict(f"**{reply.upper()}**") == read_verdict(reply)


@pytest.mark.parametrize("part", PARTS)
def test_long_replies_take_no_long(part: str) -> None:
    start = time.perf_counter()
    read_verdict(part * 5000)
    assert time.perf_counter() - start < 2  # some milliseconds, but minutes where a pattern tries all ways to match


@given(st.integers(0, 100), st.booleans())
def test_the_form_asked_for_is_read_exactly(percent: int, is_correct: bool) -> None:
    reply = f"Verdict: {'correct' if is_correct else 'incorrect'}\nProbability: {percent}%"
    assert read_verdict(reply) == Verdict(is_correct, percent / 100)
