from __future__ import annotations

import json

from prompt_oirl.recommender import Recommendation, ScoredPrompt
from prompt_oirl.records import Prompt, Query

CHOSEN, OTHER = Prompt("a", "Think.\n{{query}}"), Prompt.from_text("Be brief.", id="b")
MADE = Recommendation(
    query=Query("How many {{query}}?"),
    prompt=CHOSEN,
    score=0.25,
    runners_up=(ScoredPrompt(OTHER, 0.125),),
    reason="it scores highest",
)


def test_the_message_is_the_query_in_the_prompt() -> None:
    assert MADE.message == "Think.\nHow many {{query}}?"


def test_it_can_be_held_as_json() -> None:
    assert json.loads(json.dumps(MADE.to_dict())) == {
        "query": "How many {{query}}?",
        "prompt_id": "a",
        "prompt": "Think.\n{{query}}",
        "score": 0.25,
        "reason": "it scores highest",
        "runners_up": [{"prompt_id": "b", "score": 0.125}],
    }
