"""What was decided is told in headers that nothing can break out of."""

from __future__ import annotations

import math

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.decision_headers import decision_headers, untouched_headers


def decision(**more: object) -> Decision:
    fields = {
        "query_id": "0" * 16,
        "query": None,
        "prompt_id": "think",
        "score": 0.75,
        "propensity": 1.0,
        "choice": "recommended",
        "source": "gateway",
        "recommender": "0123456789ab",
        "seconds": 0.001,
    }
    return Decision(**{**fields, **more})


def test_the_decision_is_told() -> None:
    made = decision()
    assert dict(decision_headers(made)) == {
        b"x-prompt-oirl-decision": made.id.encode(),
        b"x-prompt-oirl-prompt": b"think",
        b"x-prompt-oirl-score": b"0.75",
        b"x-prompt-oirl-propensity": b"1.0",
        b"x-prompt-oirl-recommender": b"0123456789ab",
        b"x-prompt-oirl-choice": b"recommended",
    }


def test_a_fallback_has_no_score() -> None:
    assert b"x-prompt-oirl-score" not in dict(decision_headers(decision(score=None, choice="fallback")))


def test_a_prompts_id_cannot_break_out() -> None:
    told = dict(decision_headers(decision(prompt_id="a\r\nset-cookie: x=1\0 é/", propensity=math.nextafter(1, 0))))
    assert told[b"x-prompt-oirl-prompt"] == b"a%0D%0Aset-cookie%3A%20x%3D1%00%20%C3%A9%2F"
    assert float(told[b"x-prompt-oirl-propensity"]) == math.nextafter(1, 0)


def test_why_nothing_was_put_in_is_told() -> None:
    assert dict(untouched_headers("no text of a user")) == {
        b"x-prompt-oirl-choice": b"untouched",
        b"x-prompt-oirl-reason": b"no text of a user",
    }
