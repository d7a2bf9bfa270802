"""Which prompt a conversation gets; whatever goes wrong here, the request goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prompt_oirl.serve.decision_headers import Header, decision_headers, untouched_headers
from prompt_oirl.serve.gateway.conversation import Conversation
from prompt_oirl.serve.protocols import Decided, Decides

__all__ = ["put_prompt_in"]

_logger = logging.getLogger(__name__)


async def put_prompt_in(
    conversation: Conversation, decider: Decides, *, most_characters: float
) -> tuple[bytes, Sequence[Header]]:
    """Return the body for the upstream, and the headers that tell the client what was decided.

    A conversation without a text of a user goes on untouched. Where the last user message has other parts besides
    text, where its text is too long to be scored, or has half a surrogate pair and so no bytes to be hashed, the text
    gets the best single prompt.

    Args:
        conversation: The client's.
        decider: Chooses.
        most_characters: Of a query that is scored.
    """
    query = conversation.query
    if not query.strip():
        return conversation.text.encode(), untouched_headers("no text of a user")
    can_score = conversation.is_text_only and len(query) <= most_characters and _is_encodable(query)
    for tried in (query, None) if can_score else (None,):
        try:
            decided = await _decided(decider, tried)
            return conversation.with_prompt(decided.recommendation.prompt), decision_headers(decided.decision)
        except Exception as error:  # noqa: BLE001 - a bug in here must not stop an application from asking its LLM
            # The type alone, because the text may repeat the query.
            _logger.error("deciding failed with %s; the request goes on without", type(error).__name__)
    return conversation.text.encode(), untouched_headers("no decision")


async def _decided(decider: Decides, query: str | None) -> Decided:
    """Decide for a query, or by the best single prompt where there is none."""
    if query is None:
        return decider.best_single(source="gateway")
    return await decider.decide(query, source="gateway")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
