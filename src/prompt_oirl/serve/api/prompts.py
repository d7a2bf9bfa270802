"""`GET /v1/prompts`: the prompts that are chosen among."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from prompt_oirl.records import Prompt
from prompt_oirl.serve.api.bodies import json_answer
from prompt_oirl.serve.api.errors import documented

__all__ = ["router"]

router = APIRouter()


class ContextMessage(BaseModel):
    """A message before the prompt's own."""

    role: str
    content: str


class ListedPrompt(BaseModel):
    """One wording."""

    id: str
    template: str
    """With `{{query}}` where the query goes."""

    context: list[ContextMessage]


class ListedPrompts(BaseModel):
    """The prompts of the recommender in use."""

    recommender: str
    """Its version."""

    best_single_prompt: str
    """Id of the prompt that is used where a query cannot be scored."""

    prompts: list[ListedPrompt]


@router.get(
    "/v1/prompts",
    response_model=None,
    summary="List the prompts",
    responses={200: {"model": ListedPrompts, "description": "The prompts."}, **documented(401, 403, 503)},
)
async def prompts(request: Request) -> Response:
    """All prompts that the recommender in use chooses among."""
    loaded = request.app.state.active.loaded
    every = loaded.prepared.prompts
    return json_answer(
        {
            "recommender": loaded.version,
            "best_single_prompt": every[loaded.prepared.best_single].id,
            "prompts": [_listed(prompt) for prompt in every],
        }
    )


def _listed(prompt: Prompt) -> dict[str, object]:
    context = [{"role": each.role, "content": each.content} for each in prompt.context]
    return {"id": prompt.id, "template": prompt.template, "context": context}
