from __future__ import annotations

import json
from dataclasses import replace

from prompt_oirl.recommender import Recommendation, ScoredPrompt
from prompt_oirl.records import Message, Prompt, Query

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


def test_the_messages_are_the_whole_conversation() -> None:
    assert MADE.messages == (Message("user", MADE.message),)
    context = (Message("system", "Be kind."), Message("user", "{{query}}"), Message("assistant", "Hm."))
    made = replace(MADE, prompt=Prompt("c", "Well?", context))
    assert made.messages == (context[0], Message("user", "How many {{query}}?"), context[2], Message("user", "Well?"))
    assert made.message == "Well?"
    assert made.to_dict()["prompt_context"][::2] == [
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "Hm."},
    ]


def test_it_can_be_held_as_json() -> None:
    assert json.loads(json.dumps(MADE.to_dict())) == {
        "query": "How many {{query}}?",
        "prompt_id": "a",
        "prompt": "Think.\n{{query}}",
        "score": 0.25,
        "reason": "it scores highest",
        "runners_up": [{"prompt_id": "b", "score": 0.125}],
    }
