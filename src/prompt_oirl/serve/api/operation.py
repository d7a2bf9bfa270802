"""How the service is: `GET /healthz`, `/readyz` and `/metrics`; and `POST /v1/reload`."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from prompt_oirl.serve.api.bodies import json_answer
from prompt_oirl.serve.api.errors import documented
from prompt_oirl.serve.metrics import CONTENT_TYPE
from prompt_oirl.serve.protocols import DecisionLog

__all__ = ["router"]

router = APIRouter()


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class Ready(BaseModel):
    """The service can decide."""

    status: Literal["ready"]
    recommender: str
    """Version of the recommender in use."""

    decisions_waiting: int | None
    """Decisions that are not stored yet; null where none are kept."""

    decisions_dropped: int | None
    """Decisions that could not be stored."""

    decision_log: Literal["writing", "failing", "ended"] | None
    """`failing`: the store is down, and decisions wait in memory. `ended`: none are stored any more."""

    decision_log_failing_since: float | None
    """Seconds since 1970; null while it does not fail."""


class Reloaded(BaseModel):
    """The recommender that is in use from now on."""

    recommender: str
    """Its version."""


@router.get(
    "/healthz",
    response_model=None,
    summary="Say whether the process answers",
    responses={200: {"model": Alive, "description": "It does."}},
)
async def healthz() -> Response:
    """Needs no token."""
    return json_answer({"status": "alive"})


@router.get(
    "/readyz",
    response_model=None,
    summary="Say whether the service can decide",
    responses={200: {"model": Ready, "description": "It can: it listens only with a recommender that verified."}},
)
async def readyz(request: Request) -> Response:
    """Needs no token. It is ready while the store is down, too, and only says so: queries are answered all the same."""
    state = request.app.state
    return json_answer({"status": "ready", "recommender": state.active.version, **_shown(state.log)})


def _shown(log: DecisionLog | None) -> dict[str, object]:
    """Return what is said of the decision log; not why it fails, which may name the store."""
    state = None if log is None else log.state
    return {
        "decisions_waiting": None if log is None else log.n_waiting,
        "decisions_dropped": None if log is None else log.n_dropped,
        "decision_log": None if state is None else state.name,
        "decision_log_failing_since": None if state is None else state.failing_since,
    }


@router.get(
    "/metrics",
    response_model=None,
    response_class=Response,
    summary="Show counts and durations for Prometheus",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 403, 503)},
)
async def metrics(request: Request) -> Response:
    """In Prometheus' text format."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE)


@router.post(
    "/v1/reload",
    response_model=None,
    summary="Load the recommender's folder again",
    responses={
        200: {"model": Reloaded, "description": "What is there is in use."},
        **documented(401, 403, 409, 413, 503),
    },
)
async def reload(request: Request) -> Response:
    """No request is dropped or waits for it; where the folder does not verify, the former recommender stays in use."""
    return json_answer({"recommender": await request.app.state.active.reload()})
