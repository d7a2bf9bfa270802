"""The queries of a run: each with its gold answer, where that is known."""

from __future__ import annotations

from typing import TypeAlias

from prompt_oirl.records import Question

__all__ = ["RunQuery"]

RunQuery: TypeAlias = Question
"""What a run asks: a query, and what its answers are graded against."""
