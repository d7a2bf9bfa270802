"""`POST /v1/recommend`: a prompt for one query, or for each of several."""

from __future__ import annotations

import asyncio
import heapq
import math
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from prompt_oirl.recommender import Recommendation, ScoredPrompt
from prompt_oirl.serve.api.bodies import json_answer, read_model, read_object, request_body
from prompt_oirl.serve.api.errors import Refused, documented
from prompt_oirl.serve.api.route import DirectRoute
from prompt_oirl.serve.decision import Choice
from prompt_oirl.serve.decision_headers import decision_headers
from prompt_oirl.serve.protocols import Decided, Decides
from prompt_oirl.serve.settings import Limits

__all__ = ["RecommendRequest", "recommend_route"]

_TOGETHER = 8
"""Queries of one request that are scored together; no more than the threads for long ones have room for."""

_MOST_SCORES = 1_000

_EXAMPLE = {"query": "Weng earns $12 an hour. She worked 50 minutes. How much did she earn?", "top": 3}


def _whole(value: object) -> object:
    """Return 3.0 as 3: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(min_length=1)]
QueryText = Annotated[str, Field(min_length=1, pattern=r"\S")]


class RecommendRequest(BaseModel):
    """One query or several, and what is wanted with the answer; null is as if left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: QueryText | None = None
    queries: Annotated[list[QueryText], Field(min_length=1, fail_fast=True)] | None = None
    candidates: Annotated[list[Text], Field(min_length=1, fail_fast=True)] | None = None
    """Ids of the prompts to choose among; all of the recommender's if not given."""

    top: Annotated[int, Field(ge=1, le=_MOST_SCORES), BeforeValidator(_whole)] | None = None
    """How many of the best scores to return."""

    messages: bool | None = None
    """Whether to return the conversation that asks the query with the prompt."""

    def check(self, limits: Limits) -> None:
        """Raise if it is not one query or several, or more than the limits allow.

        Raises:
            Refused: With status 422.
        """
        if (self.query is None) == (self.queries is None):
            raise _refused("give either query, a text, or queries, a list of texts", "query")
        if self.queries is not None and len(self.queries) > limits.queries:
            raise _refused(f"{len(self.queries)} queries; at most {limits.queries} are answered at once", "queries")
        if self.candidates is not None and len(self.candidates) > limits.candidates:
            raise _refused(f"{len(self.candidates)} candidates; at most {limits.candidates} are taken", "candidates")
        longest = max(len(query) for query in self.texts)
        if longest > limits.query_characters:
            raise _refused(f"a query of {longest} characters; at most {limits.query_characters} are taken", "query")
        if not all(query.strip() for query in self.texts):
            raise _refused("a query must be a non-empty text", "query")

    @property
    def texts(self) -> list[str]:
        """The queries, of whichever form."""
        return [self.query] if self.query is not None else self.queries or []


class Score(BaseModel):
    """What one prompt scores for the query."""

    prompt_id: str
    score: float


class SentMessage(BaseModel):
    """One message of a conversation."""

    role: str
    content: str


class Recommended(BaseModel):
    """A decision: the prompt for one query."""

    decision_id: str
    """To give feedback on."""

    prompt_id: str
    score: float | None
    """The prompt's; null where the query was not scored."""

    propensity: float
    """Probability with which this prompt was chosen."""

    choice: Choice
    reason: str
    recommender: str
    """Its version."""

    scores: list[Score] | None = None
    """The best ones, highest first, if `top` was given; empty where the query was not scored."""

    messages: list[SentMessage] | None = None
    """What to send to the LLM, if `messages` was given."""


class RecommendedMany(BaseModel):
    """Decisions in the order of the queries."""

    decisions: list[Recommended]


def recommend_route(limits: Limits) -> DirectRoute:
    """Return the route; its documentation tells the limits."""
    return DirectRoute(
        "/v1/recommend",
        _recommend,
        methods=["POST"],
        name="recommend",
        summary="Recommend a prompt for a query, or for each of several",
        response_model=None,
        responses={
            200: {"model": Recommended | RecommendedMany, "description": "What was decided."},
            **documented(400, 401, 403, 404, 408, 413, 415, 422, 503),
        },
        openapi_extra=request_body(_schema(limits), example=_EXAMPLE),
    )


async def _recommend(request: Request) -> Response:
    """One prompt for each query; the decision ids are what feedback refers to.

    Where a query cannot be scored in time, the answer is the best single prompt, with `choice` "fallback". For one
    query the decision is in the headers `x-prompt-oirl-*` too.
    """
    state = request.app.state
    asked = read_model(RecommendRequest, await read_object(request))
    asked.check(state.settings.limits)
    if asked.query is not None:
        decided = await _decide(state.decider, asked.query, asked)
        return json_answer(_answer(decided, asked), headers=decision_headers(decided.decision))
    at_a_time = _TOGETHER if state.active.prepared.is_quick else 1
    decisions: list[Decided] = []
    for start in range(0, len(asked.texts), at_a_time):
        texts = asked.texts[start : start + at_a_time]
        decisions += await asyncio.gather(*(_decide(state.decider, text, asked) for text in texts))
    return json_answer({"decisions": [_answer(each, asked) for each in decisions]})


async def _decide(decider: Decides, query: str, asked: RecommendRequest) -> Decided:
    return await decider.decide(query, source="recommend", candidates=asked.candidates)


def _answer(decided: Decided, asked: RecommendRequest) -> dict[str, Any]:
    decision, recommendation = decided.decision, decided.recommendation
    answer: dict[str, Any] = {
        "decision_id": decision.id,
        "prompt_id": decision.prompt_id,
        "score": decision.score,
        "propensity": decision.propensity,
        "choice": decision.choice,
        "reason": recommendation.reason,
        "recommender": decision.recommender,
    }
    if asked.top is not None:
        answer["scores"] = _best_scores(recommendation, asked.top)
    if asked.messages:
        answer["messages"] = [{"role": each.role, "content": each.content} for each in recommendation.messages]
    return answer


def _best_scores(recommendation: Recommendation, top: int) -> list[dict[str, Any]]:
    scored = (ScoredPrompt(recommendation.prompt, recommendation.score), *recommendation.runners_up)
    known = (each for each in scored if math.isfinite(each.score))
    best = heapq.nsmallest(top, known, key=lambda each: -each.score)
    return [{"prompt_id": each.prompt.id, "score": each.score} for each in best]


def _refused(message: str, param: str) -> Refused:
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message, param=param)


def _schema(limits: Limits) -> dict[str, Any]:
    """Return the request's schema with the limits of this service in it."""
    query = {"type": "string", "minLength": 1, "maxLength": limits.query_characters, "pattern": r"\S"}
    prompt_id = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "description": "Either `query` or `queries`; null is as if left out.",
        "additionalProperties": False,
        "properties": {
            "query": query | {"type": ["string", "null"]},
            "queries": {"type": ["array", "null"], "minItems": 1, "maxItems": limits.queries, "items": query},
            "candidates": {"type": ["array", "null"], "minItems": 1, "maxItems": limits.candidates, "items": prompt_id},
            "top": {"type": ["integer", "null"], "minimum": 1, "maximum": _MOST_SCORES},
            "messages": {"type": ["boolean", "null"]},
        },
        "oneOf": [
            {"required": ["query"], "properties": {"query": {"type": "string"}, "queries": {"type": "null"}}},
            {"required": ["queries"], "properties": {"queries": {"type": "array"}, "query": {"type": "null"}}},
        ],
    }
