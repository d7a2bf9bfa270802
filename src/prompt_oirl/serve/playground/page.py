"""The playground's page at `/` and the routes that it asks.

Pieces of the page are rendered here and put in place by the page's script. The service keeps nothing of a browser: any
replica can answer any request. All scripts and styles are files of this package, and the browser is told to take none
from elsewhere.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import AfterValidator, BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from prompt_oirl.errors import ArtifactError, StoreError
from prompt_oirl.policies import BestOfN
from prompt_oirl.records import Query
from prompt_oirl.serve.active import ActiveRecommender, LoadedRecommender
from prompt_oirl.serve.api.errors import Refused
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.gateway.upstream import Upstream
from prompt_oirl.serve.playground.asking import ask, models
from prompt_oirl.serve.playground.choice import choice_of
from prompt_oirl.serve.playground.recent import count_by_prompt
from prompt_oirl.serve.playground.sign_in import (
    FailedAttempts,
    check_own_page,
    check_signed_in,
    is_signed_in,
    is_token,
    sign_in,
    sign_out,
)
from prompt_oirl.serve.playground.templates import render
from prompt_oirl.serve.playground.wins import TrainingWins, training_wins
from prompt_oirl.serve.settings import ServeSettings

__all__ = ["add_playground"]

_N_SHOWN = 12
_N_RECENT = 500
_N_RECENT_SHOWN = 25
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def add_playground(app: FastAPI) -> None:
    """Add the page at `/`, and what it asks below `/playground/`, to a service.

    These paths check by themselves who asks. They use the service's `app.state`: `active`, `decider`, `settings`,
    `log`, `metrics`, and `upstream` where there is one.
    """
    app.state.training_wins = _TrainingWinsOfVersion()
    app.state.failed_sign_ins = FailedAttempts()
    app.mount("/playground/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.include_router(_open)
    app.include_router(_signed_in)


class _TrainingWinsOfVersion:
    """Computes the win map of a recommender's training data when it is first asked for, once."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._version: str | None = None
        self._wins: TrainingWins | None = None

    async def of(self, active: ActiveRecommender) -> TrainingWins | None:
        """Return the win map; None where the recommender's folder has no logs.

        Raises:
            ArtifactError: The logs cannot be read: the folder has been replaced since it was loaded, or is damaged.
        """
        loaded = active.loaded
        async with self._lock:
            if self._version != loaded.version:
                self._wins = await asyncio.to_thread(_wins_of, loaded)
                self._version = loaded.version
            return self._wins


def _wins_of(loaded: LoadedRecommender) -> TrainingWins | None:
    demonstrations = loaded.recommender.demonstrations_
    return None if demonstrations is None else training_wins(demonstrations, loaded.prepared.best_single)


async def _check(request: Request) -> None:
    check_signed_in(request, request.app.state.settings.token)
    if request.method != "GET":
        check_own_page(request)


_open = APIRouter(include_in_schema=False)
_signed_in = APIRouter(prefix="/playground", include_in_schema=False, dependencies=[Depends(_check)])


def _html(template: str, **values: Any) -> HTMLResponse:
    return HTMLResponse(render(template, **values), headers=_HEADERS)


@_open.get("/")
async def _page(request: Request) -> Response:
    """Answer the page, or lead to where the token is asked for."""
    state = request.app.state
    if not is_signed_in(request, state.settings.token):
        return RedirectResponse("playground/sign-in", status_code=303, headers=_HEADERS)
    loaded = state.active.loaded
    return _html(
        "page.html",
        base="",
        version=loaded.version,
        n_prompts=len(loaded.prepared.prompts),
        best_single=loaded.prepared.prompts[loaded.prepared.best_single].id,
        chooses_per_query=isinstance(loaded.prepared.policy, BestOfN),
        query_characters=state.settings.limits.query_characters,
        has_token=bool(state.settings.token),
    )


@_open.get("/playground/sign-in")
async def _sign_in_page() -> Response:
    return _html("sign_in.html", base="../")


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has half a surrogate pair, which is no text") from None
    return text


_Text = Annotated[str, AfterValidator(_encodable)]


class _Given(BaseModel):
    token: _Text


@_open.post("/playground/sign-in")
async def _sign_in(request: Request, given: _Given) -> Response:
    check_own_page(request)
    token, failed = request.app.state.settings.token, request.app.state.failed_sign_ins
    failed.check()
    if token is not None and not is_token(given.token, token):
        failed.add()
        raise Refused(401, "this is not the service's token")
    response = Response(status_code=204, headers=_HEADERS)
    if token is not None:
        sign_in(request, response, token)
    return response


@_signed_in.post("/sign-out")
async def _sign_out() -> Response:
    response = Response(status_code=204, headers=_HEADERS)
    sign_out(response)
    return response


class _Asked(BaseModel):
    query: _Text


@_signed_in.post("/decide")
async def _decide(request: Request, asked: _Asked) -> Response:
    """Answer what is chosen for a query, and why."""
    state = request.app.state
    _check_length(asked.query, state.settings)
    loaded = state.active.loaded
    decided = await state.decider.decide(asked.query, source="playground")
    return _html(
        "choice.html",
        choice=await asyncio.to_thread(choice_of, decided, loaded),
        decision=decided.decision,
        recommendation=decided.recommendation,
        n_shown=_N_SHOWN,
        is_logged=state.log is not None,
        has_upstream=_upstream(request) is not None,
        models=(),
    )


class _Reward(BaseModel):
    decision_id: _Text
    reward: float


@_signed_in.post("/feedback")
async def _feedback(request: Request, given: _Reward) -> Response:
    """Store a reward, and say so."""
    state = request.app.state
    if state.log is None or not await state.log.give_feedback(Feedback(given.decision_id, given.reward)):
        raise Refused(404, "this decision is not in the log")
    state.metrics.count_feedback()
    return PlainTextResponse("Thank you, noted.", headers=_HEADERS)


class _Conversation(BaseModel):
    query: _Text
    prompt_id: _Text
    model: _Text


@_signed_in.post("/ask")
async def _ask(request: Request, asked: _Conversation) -> Response:
    """Answer what the upstream says to a query in a prompt of the recommender."""
    state, upstream = request.app.state, _upstream(request)
    if upstream is None:
        raise Refused(404, "this service forwards to no LLM")
    _check_length(asked.query, state.settings)
    prompt = next((each for each in state.active.prepared.prompts if each.id == asked.prompt_id), None)
    if prompt is None:
        raise Refused(404, "another recommender is in use by now, without this prompt; choose again")
    return _html("answer.html", answer=await ask(upstream, prompt.messages(Query(asked.query)), model=asked.model))


@_signed_in.get("/models")
async def _models(request: Request) -> Response:
    """Answer the field that names a model, with the upstream's models."""
    upstream = _upstream(request)
    return _html("models.html", models=() if upstream is None else await models(upstream))


@_signed_in.get("/decisions")
async def _decisions(request: Request) -> Response:
    """Answer the latest decisions, with their feedback."""
    log, problem = request.app.state.log, None
    recent: Sequence[tuple[Decision, float | None]] = ()
    try:
        recent = () if log is None else await log.recent(_N_RECENT)
    except StoreError:
        problem = "The decision log cannot be read now. Prompts are still chosen; try again later."
    return _html(
        "decisions.html",
        recent=recent,
        shown=recent[:_N_RECENT_SHOWN],
        by_prompt=count_by_prompt(recent),
        is_logged=log is not None,
        problem=problem,
    )


@_signed_in.get("/training")
async def _training(request: Request) -> Response:
    """Answer what the training data say of each prompt."""
    state = request.app.state
    recommender = state.active.loaded.recommender
    rates = zip((each.id for each in recommender.prompts_), recommender.success_rates_.tolist(), strict=True)
    wins, has_lost_logs = None, False
    try:
        wins = await state.training_wins.of(state.active)
    except ArtifactError:
        has_lost_logs = True
    return _html(
        "training.html",
        wins=wins,
        has_lost_logs=has_lost_logs,
        success_rates=[(prompt_id, None if math.isnan(rate) else rate) for prompt_id, rate in rates],
        n_shown=_N_SHOWN,
    )


def _upstream(request: Request) -> Upstream | None:
    found: Upstream | None = getattr(request.app.state, "upstream", None)
    return found


def _check_length(query: str, settings: ServeSettings) -> None:
    most = settings.limits.query_characters
    if len(query) > most:
        raise Refused(413, f"the query has {len(query)} characters; at most {most} are taken", param="query")
