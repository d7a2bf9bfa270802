"""Decisions as rows of their table, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from prompt_oirl.serve.decision import Decision

__all__ = ["decision_of", "decision_row"]


def decision_row(decision: Decision) -> dict[str, Any]:
    """Return a decision's values by column; numbers as plain ones, which every database driver takes."""
    return {
        "id": decision.id,
        "query_id": decision.query_id,
        "query": decision.query,
        "prompt_id": decision.prompt_id,
        "score": _score(decision.score),
        "propensity": float(decision.propensity),
        # Not escaped to ASCII: that would join two halves of a surrogate pair that stand side by side.
        "candidates": None if decision.candidates is None else json.dumps(decision.candidates, ensure_ascii=False),
        "choice": decision.choice,
        "source": decision.source,
        "recommender": decision.recommender,
        "seconds": float(decision.seconds),
        "created": float(decision.created),
    }


def _score(score: float | None) -> float | None:
    """Return a plain number; None for one that is none, which SQLite does not hold."""
    return None if score is None or math.isnan(score) else float(score)


def decision_of(row: Sequence[Any]) -> Decision:
    """Make a decision of its row: the values of all columns, in the order of the table."""
    id, query_id, query, prompt_id, score, propensity, candidates, choice, source, recommender, seconds, created = row
    return Decision(
        id=id,
        query_id=query_id,
        query=query,
        prompt_id=prompt_id,
        score=score,
        propensity=propensity,
        candidates=None if candidates is None else tuple(json.loads(candidates)),
        choice=choice,
        source=source,
        recommender=recommender,
        seconds=seconds,
        created=created,
    )
