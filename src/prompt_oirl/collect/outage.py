"""An outage: nothing but failures comes back, and the rest of a run must not become failures too."""

from __future__ import annotations

from prompt_oirl.errors import LLMError
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

__all__ = ["OutageWatch"]

_PASSING = ("timeout", "connection", "rate_limit", "server_error", "malformed")
"""Failures that are the server's state and not this call's fault."""

_FORBIDDEN = 403


class OutageWatch:
    """Counts the failures since the last answer.

    Args:
        most_in_a_row: After so many calls without an answer the server is taken to be down.
    """

    def __init__(self, most_in_a_row: int = 50) -> None:
        self._most_in_a_row = most_in_a_row
        self._in_a_row = 0

    def error_after(self, outcome: Outcome, *, has_worked: bool) -> LLMError | None:
        """Take note of an outcome, and return the error that the run has come to, if it has.

        Args:
            outcome: Of a call.
            has_worked: Whether calls like this one have been answered. If not, refusals of single calls count too: it
                may be the parameters that are refused.
        """
        if isinstance(outcome, Completion):
            self._in_a_row = 0
        elif outcome.kind in _PASSING or outcome.status == _FORBIDDEN or not has_worked:
            self._in_a_row += 1
            if self._in_a_row >= self._most_in_a_row:
                return self._error(outcome)
        return None

    def _error(self, last: Failure) -> LLMError:
        return LLMError(
            f"{self._in_a_row} calls in a row got no answer, the last one after {last.attempts} attempts: {last.kind}, "
            f"{last.message}; see to the server, or to what it objects to, then run the same command with "
            "--retry-failed"
        )
