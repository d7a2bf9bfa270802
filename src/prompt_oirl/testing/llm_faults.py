"""What can go wrong between a client and an LLM, in known shares and in an order that a seed fixes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

from prompt_oirl.errors import ParameterError

__all__ = ["FAULT_KINDS", "FAULT_TEXT", "Burst", "FaultKind", "Faults"]

FaultKind = Literal[
    "rate_limited",
    "server_error",
    "unavailable",
    "hang",
    "truncated",
    "not_json",
    "other_json",
    "html",
    "no_choices",
    "no_content",
]
"""Each is also the name of its share in `Faults`, where it is described."""

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)

FAULT_TEXT = "This text belongs to a fault and is no answer."
"""Is in every faulty body that can hold a text; a store where it stands as an answer has taken an error for one."""


@dataclass(frozen=True, slots=True)
class Burst:
    """The end of every period, in which every request is answered with 429.

    Raises:
        ParameterError: The length is not more than 0, or more than the period.
    """

    every: float
    """Length of a period."""

    length: float
    """Length of the part at its end."""

    unit: Literal["requests", "seconds"] = "requests"
    """What both are counted in; seconds from the server's start."""

    def __post_init__(self) -> None:
        if not 0 < self.length <= self.every:
            raise ParameterError(f"length={self.length}: more than 0 and at most the period, {self.every}, is needed")
        if self.unit not in ("requests", "seconds"):
            raise ParameterError(f"unit={self.unit!r}: 'requests' or 'seconds' is needed")

    def covers(self, number: int, seconds: float) -> bool:
        """Return whether the burst refuses request `number`, counted from 0, that comes after so many seconds."""
        position = number if self.unit == "requests" else seconds
        return position % self.every >= self.every - self.length


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests that go wrong, each in one way; the others are answered.

    What befalls a request depends on the seed and on how many well-formed requests came before it, on nothing that is
    in it: the same answers come out in the end, whatever went wrong on the way.

    Raises:
        ParameterError: A share is outside [0, 1], they sum to more than 1, or a time is negative.
    """

    latency: float = 0.0
    """Mean seconds that an answer takes. A refusal with 429 takes none."""

    jitter: float = 0.0
    """Seconds by which the latency is at most shorter or longer, uniformly."""

    rate_limited: float = 0.0
    """Refused with 429."""

    server_error: float = 0.0
    """500."""

    unavailable: float = 0.0
    """503."""

    hang: float = 0.0
    """Never answered: the connection stays open until the client gives up."""

    truncated: float = 0.0
    """200, but the connection closes after half of the body that the header announces."""

    not_json: float = 0.0
    """200 with a body that begins as JSON and is none."""

    other_json: float = 0.0
    """200 with a JSON body of another shape."""

    html: float = 0.0
    """200 with a web page, as proxies send it."""

    no_choices: float = 0.0
    """200 with an empty list of choices."""

    no_content: float = 0.0
    """200 with a content of null, as after a content filter."""

    retry_after: float | None = None
    """Seconds in the `Retry-After` header of every 429; none is sent if it is None."""

    burst: Burst | None = None
    max_in_flight: int | None = None
    """More requests at once than this are refused with 429."""

    seed: int = 0

    def __post_init__(self) -> None:
        shares = {kind: getattr(self, kind) for kind in FAULT_KINDS}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ParameterError(f"{name}={share}: a share of at least 0 and at most 1 is needed")
        if sum(shares.values()) > 1 + 1e-9:
            raise ParameterError(f"the shares sum to {sum(shares.values()):g}, more than 1: {shares}")
        if not 0 <= self.jitter <= self.latency < float("inf"):
            raise ParameterError(f"latency={self.latency}, jitter={self.jitter}: 0 <= jitter <= latency is needed")
        if self.retry_after is not None and not 0 <= self.retry_after < float("inf"):
            raise ParameterError(f"retry_after={self.retry_after}: seconds of at least 0 are needed")
        if self.max_in_flight is not None and self.max_in_flight < 1:
            raise ParameterError(f"max_in_flight={self.max_in_flight}: at least 1 is needed")

    def draw(self, number: int, *, seconds: float = 0.0, in_flight: int = 1) -> FaultKind | None:
        """Return what befalls a request, None if nothing does.

        Args:
            number: Of well-formed requests before it.
            seconds: Since the server's start.
            in_flight: Requests under way, this one included.
        """
        if self.max_in_flight is not None and in_flight > self.max_in_flight:
            return "rate_limited"
        if self.burst is not None and self.burst.covers(number, seconds):
            return "rate_limited"
        luck = random.Random(f"fault {self.seed} {number}").random()
        for kind in FAULT_KINDS:
            luck -= getattr(self, kind)
            if luck < 0:
                return kind
        return None

    def seconds(self, number: int) -> float:
        """Return how long the answer to a request takes."""
        if not self.jitter:
            return self.latency
        return self.latency + self.jitter * random.Random(f"latency {self.seed} {number}").uniform(-1, 1)
