"""`POST /v1/feedback`: what came of a decision."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from prompt_oirl.serve.api.bodies import json_answer, read_model, read_object, request_body
from prompt_oirl.serve.api.errors import Refused, documented
from prompt_oirl.serve.decision import Feedback

__all__ = ["FeedbackRequest", "router"]

router = APIRouter()
_EXAMPLE = {"decision_id": "0123456789abcdef0123456789abcdef", "reward": 1}


class FeedbackRequest(BaseModel):
    """A reward for a decision."""

    model_config = ConfigDict(extra="forbid", strict=True)

    decision_id: Annotated[str, Field(min_length=32, max_length=32, pattern=r"^[0-9a-f]{32}$")]
    reward: Annotated[float, Field(ge=0, le=1)]


class StoredFeedback(BaseModel):
    """The reward as it was stored."""

    decision_id: str
    reward: float


@router.post(
    "/v1/feedback",
    response_model=None,
    summary="Say what came of a decision",
    responses={
        200: {"model": StoredFeedback, "description": "The reward is stored."},
        **documented(400, 401, 403, 404, 408, 413, 415, 422, 503),
    },
    openapi_extra=request_body(FeedbackRequest.model_json_schema(), example=_EXAMPLE),
)
async def feedback(request: Request) -> Response:
    """The answer comes when the reward is stored for good.

    Of several rewards for one decision the last one counts, and all are kept. Status 404 where no such decision is
    known, and always where the service keeps no decisions.
    """
    state = request.app.state
    given = read_model(FeedbackRequest, await read_object(request))
    if state.log is None:
        raise Refused(
            HTTPStatus.NOT_FOUND,
            "this service keeps no decisions, so there is none to give feedback on; start it with a store",
            param="decision_id",
        )
    if not await state.log.give_feedback(Feedback(given.decision_id, given.reward)):
        raise Refused(
            HTTPStatus.NOT_FOUND,
            f"no decision {given.decision_id} is known; use the decision_id of an answer of this service",
            param="decision_id",
        )
    state.metrics.count_feedback()
    return json_answer({"decision_id": given.decision_id, "reward": given.reward})
