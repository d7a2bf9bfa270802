"""Cells, outcomes and prompts as rows of the store's tables, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.records import Message, Prompt
from prompt_oirl.runs.cells import Cell
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.schema import cells

__all__ = [
    "CELL_COLUMNS",
    "KEPT_COLUMNS",
    "OUTCOME_COLUMNS",
    "SPENT_COLUMNS",
    "StoredOutcome",
    "cell_of",
    "cell_row",
    "outcome_row",
    "prompt_definition",
    "prompt_of",
    "stored_outcome",
]


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """A cell and what became of it."""

    cell: Cell
    outcome: Outcome


_CELL_FIELDS = ("key", "query_id", "prompt_id", "sample", "propensity", "purpose", "subject")
_COMPLETION_FIELDS = ("text", "model", "finish_reason", "prompt_tokens", "completion_tokens", "latency")
_FAILURE_FIELDS = ("failure_kind", "message", "status")

KEPT_COLUMNS = (*_COMPLETION_FIELDS, *_FAILURE_FIELDS, "finished_at")
"""Of the outcome that is kept where a cell has had several."""

SPENT_COLUMNS = ("attempts", "spent_prompt_tokens", "spent_completion_tokens")
"""Summed over all outcomes that a cell has had."""

CELL_COLUMNS = tuple(cells.c[name] for name in _CELL_FIELDS)
OUTCOME_COLUMNS = tuple(
    cells.c[name] for name in (*_CELL_FIELDS, *_COMPLETION_FIELDS, *_FAILURE_FIELDS, "attempts", "state")
)


def cell_row(cell: Cell) -> dict[str, Any]:
    """Return a cell's values by column."""
    return {
        "key": cell.key,
        "query_id": cell.query_id,
        "prompt_id": cell.prompt_id,
        "sample": cell.sample,
        "propensity": cell.propensity,
        "purpose": cell.purpose,
        "subject": cell.subject,
    }


def cell_of(row: Sequence[Any]) -> Cell:
    """Make a cell of its row: the values of `CELL_COLUMNS`."""
    return Cell(*row)


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome's values by column, all but when it finished."""
    spent = {
        "attempts": outcome.attempts,
        "prompt_tokens": outcome.prompt_tokens,
        "completion_tokens": outcome.completion_tokens,
        "spent_prompt_tokens": outcome.prompt_tokens or 0,
        "spent_completion_tokens": outcome.completion_tokens or 0,
    }
    if isinstance(outcome, Failure):
        said: dict[str, Any] = {
            "state": "failed",
            "failure_kind": outcome.kind,
            "message": outcome.message,
            "status": outcome.status,
        }
    else:
        said = {
            "state": "answered",
            "text": outcome.text,
            "model": outcome.model,
            "finish_reason": outcome.finish_reason,
            "latency": outcome.latency,
        }
    return _NOTHING | spent | said


_NOTHING: dict[str, Any] = dict.fromkeys((*_COMPLETION_FIELDS, *_FAILURE_FIELDS)) | dict.fromkeys(SPENT_COLUMNS, 0)


def stored_outcome(row: Sequence[Any]) -> StoredOutcome:
    """Make a stored outcome of its row: the values of `OUTCOME_COLUMNS`."""
    n = len(_CELL_FIELDS)
    text, model, finish_reason, prompt_tokens, completion_tokens, latency, kind, message, status, attempts = row[n:-1]
    if kind is None:
        outcome: Outcome = Completion(text, model, finish_reason, prompt_tokens, completion_tokens, latency, attempts)
    else:
        outcome = Failure(kind, message, status, attempts, prompt_tokens, completion_tokens)
    return StoredOutcome(cell_of(row[:n]), outcome)


def prompt_definition(prompt: Prompt) -> str:
    """Return everything but a prompt's id as JSON: equal wordings have equal texts."""
    return json.dumps({"template": prompt.template, "context": [asdict(message) for message in prompt.context]})


def prompt_of(id: str, definition: str) -> Prompt:
    """Make a prompt of its id and its definition."""
    record = json.loads(definition)
    return Prompt(id, record["template"], tuple(Message(**message) for message in record["context"]))
