"""Whatever goes wrong in deciding, the request goes on."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.recommender import Recommendation
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.decision import Decision, Source
from prompt_oirl.serve.gateway.choosing import put_prompt_in
from prompt_oirl.serve.gateway.conversation import Conversation
from prompt_oirl.serve.protocols import Decided

THINK, BEST = Prompt.from_text("Think.", id="think"), Prompt.from_text("Best.", id="best")
SECRET = "what nobody may read in a log"
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}


@dataclass
class Decider:
    """Decides for one prompt, or fails."""

    fails: tuple[str, ...] = ()
    queries: list[str | None] = field(default_factory=list)

    async def decide(self, query: str, *, source: Source, candidates: Sequence[str] | None = None) -> Decided:
        self.queries.append(query)
        if "decide" in self.fails:
            raise RuntimeError(SECRET)
        return decided(THINK, Query(query), source)

    def best_single(self, *, source: Source) -> Decided:
        self.queries.append(None)
        if "best_single" in self.fails:
            raise DataError(SECRET)
        return decided(BEST, Query("{{query}}"), source)


def decided(prompt: Prompt, query: Query, source: Source) -> Decided:
    decision = Decision(
        query_id="",
        query=None,
        prompt_id=prompt.id,
        score=None,
        propensity=1.0,
        choice="fallback",
        source=source,
        recommender="v",
        seconds=0.0,
    )
    return Decided(decision, Recommendation(query=query, prompt=prompt, score=0.5, runners_up=(), reason="x"))


async def put_in(content: object, decider: Decider, *, most_characters: int = 100) -> tuple[object, dict[str, str]]:
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    conversation = Conversation.parse(body, most_messages=1)
    found, headers = await put_prompt_in(conversation, decider, most_characters=most_characters)
    told = {name.decode().removeprefix("x-prompt-oirl-"): value.decode() for name, value in headers}
    return ("untouched" if found == body else json.loads(found)["messages"][0]["content"]), told


async def test_a_text_gets_the_recommended_prompt() -> None:
    decider = Decider()
    content, told = await put_in("3+4", decider)
    assert (content, told["prompt"], decider.queries) == ("3+4\nThink.", "think", ["3+4"])


@pytest.mark.parametrize(
    ("content", "most_characters"),
    [([{"type": "text", "text": "3+4"}, IMAGE], 100), ("3+4", 2), ("3+4\ud800", 100)],
    ids=["image", "long", "half a surrogate pair"],
)
async def test_what_cannot_be_scored_gets_the_best_single_prompt(content: object, most_characters: int) -> None:
    decider = Decider()
    changed, told = await put_in(content, decider, most_characters=most_characters)
    assert "\\nBest." in json.dumps(changed)
    assert (told["prompt"], decider.queries) == ("best", [None])


@pytest.mark.parametrize("content", [None, " ", [IMAGE], [], 5])
async def test_without_text_nothing_is_changed_and_nothing_decided(content: object) -> None:
    decider = Decider()
    assert await put_in(content, decider) == ("untouched", {"choice": "untouched", "reason": "no text of a user"})
    assert not decider.queries


async def test_a_decider_that_fails_is_replaced_by_the_best_single_prompt(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    content, told = await put_in("3+4", Decider(fails=("decide",)))
    assert (content, told["prompt"]) == ("3+4\nBest.", "best")
    assert "RuntimeError" in caplog.text
    assert SECRET not in caplog.text


async def test_where_all_fails_the_request_goes_on_untouched(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = await put_in("3+4", Decider(fails=("decide", "best_single")))
    assert found == ("untouched", {"choice": "untouched", "reason": "no decision"})
    assert "DataError" in caplog.text
    assert SECRET not in caplog.text


async def test_a_prompt_that_cannot_be_put_in_is_replaced_by_the_best_single_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def with_prompt(conversation: Conversation, prompt: Prompt) -> bytes:
        if prompt == THINK:
            raise ValueError(SECRET)
        return put(conversation, prompt)

    put = Conversation.with_prompt
    monkeypatch.setattr(Conversation, "with_prompt", with_prompt)
    content, told = await put_in("3+4", Decider())
    assert (content, told["prompt"]) == ("3+4\nBest.", "best")
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text


async def test_where_the_best_single_prompt_cannot_be_put_in_either_the_request_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(decision: Decision) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr("prompt_oirl.serve.gateway.choosing.decision_headers", fail)
    assert await put_in("3+4", Decider()) == ("untouched", {"choice": "untouched", "reason": "no decision"})
