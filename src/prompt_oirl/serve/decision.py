"""A decision, one prompt chosen for one query, and what came of it."""

from __future__ import annotations

import math
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

from prompt_oirl.errors import ParameterError

__all__ = ["Choice", "Decision", "Feedback", "Source", "new_decision_id"]

Source = Literal["recommend", "gateway", "playground"]
"""Which part of the service was asked."""

Choice = Literal["recommended", "explored", "fallback"]
"""`recommended`: by the recommender, the best single prompt included. `explored`: drawn at random. `fallback`: the best
single prompt, because the query could not be scored, or not in time."""

_ID = re.compile(r"[0-9a-f]{32}")


def new_decision_id() -> str:
    """Return a new id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which prompt one query got, with what is needed to learn from it later.

    Raises:
        ParameterError: The propensity is no probability above 0, or a time is not finite.
    """

    query_id: str
    """Hash of the query's text; empty where there was no text to choose by."""

    query: str | None
    """The text, where queries are logged."""

    prompt_id: str
    score: float | None
    """The chosen prompt's; None for a fallback."""

    propensity: float
    """Probability with which this prompt was chosen."""

    candidates: tuple[str, ...] | None = None
    """Ids of the prompts that were chosen among; None for all of the recommender's."""

    choice: Choice
    source: Source
    recommender: str
    """Version of the recommender: `ActiveRecommender.version`."""

    seconds: float
    """That the decision took."""

    id: str = field(default_factory=new_decision_id)
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        if not 0 < self.propensity <= 1:
            raise ParameterError(f"propensity={self.propensity}: a probability above 0 and at most 1 is needed")
        if not (math.isfinite(self.seconds) and math.isfinite(self.created)):
            raise ParameterError(f"seconds={self.seconds}, created={self.created}: finite numbers are needed")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What came of a decision. Of several the last one counts, and all are kept.

    Raises:
        ParameterError: The id is not that of a decision, the reward is outside [0, 1], or the time is not finite.
    """

    decision_id: str
    reward: float
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.decision_id):
            raise ParameterError(f"decision_id={self.decision_id[:60]!r}: 32 hexadecimal digits are needed")
        if isinstance(self.reward, bool) or not (math.isfinite(self.reward) and 0 <= self.reward <= 1):
            raise ParameterError(f"reward={self.reward!r}: a number from 0 to 1 is needed")
        if not math.isfinite(self.created):
            raise ParameterError(f"created={self.created}: a finite number is needed")
