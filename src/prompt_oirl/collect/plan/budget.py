"""How much a run may cost, and the ledger that lets a call go out only if it still fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from prompt_oirl.collect.plan.prices import Price, PriceFile
from prompt_oirl.collect.plan.tokens import TokenCounter, answer_estimate
from prompt_oirl.errors import ParameterError
from prompt_oirl.records import Message
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending

__all__ = ["Budget", "Ledger", "Reservation"]

_UNSEEN_ANSWER_TOKENS = 1024
"""Reserved for an answer where nothing limits it and none has been seen."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may cost in all its sessions together; None where there is no cap.

    Raises:
        ParameterError: A cap is not positive.
    """

    max_calls: int | None = None
    """Requests, repeated attempts included."""

    max_tokens: int | None = None
    """Tokens of requests and answers together."""

    max_usd: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_calls", "max_tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ParameterError(f"{name}={value!r}: a whole number of at least 1 is needed, or none for no cap")
        usd = self.max_usd
        if usd is not None and (isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 < usd < math.inf):
            raise ParameterError(f"max_usd={self.max_usd!r}: a positive amount is needed, or none for no cap")

    def price_of(self, model: str, prices: PriceFile | None) -> Price | None:
        """Return the model's price, None where it has none and no cap needs it.

        Raises:
            ParameterError: It has none, and `max_usd` could not be kept without.
        """
        price = prices.of(model) if prices else None
        if price is None and self.max_usd is not None:
            missing = prices.missing(model) if prices else f"no price of {model!r} is known; give a price file"
            raise ParameterError(f"max_usd={self.max_usd:g} can only be kept where the price is known, but {missing}")
        return price


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """What is held free for a call under way."""

    prompt_tokens: int
    """By the counter, and `margin` more."""

    answer_tokens: int
    margin: int = 0
    """Most tokens by which the server has counted more than the counter before."""


@dataclass(frozen=True, slots=True)
class _Amount:
    """What calls cost or may cost, in all that a cap can be put on but money."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: _Amount) -> _Amount:
        return _Amount(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def __sub__(self, other: _Amount) -> _Amount:
        return self + _Amount(-other.requests, -other.prompt_tokens, -other.completion_tokens)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Ledger:
    """Keeps a budget while calls are under way: each reserves what it may cost, and is settled when it is back.

    A call reserves the tokens of its request by the counter, more where the server was seen to count more, and
    `max_answer_tokens` for its answer, or where there is no such limit the longest answer seen so far. So the caps on
    tokens and money hold if the answers have a limit and no request has more tokens than was reserved. An attempt
    without an answer counts as a request; its tokens count only where it is a call's last and the server names them.

    `max_calls` counts requests, of which a call reserves one. Where calls are repeated after errors the cap may be
    exceeded by those in flight then, each by at most the attempts of a call less one.

    Args:
        budget: The caps.
        spent: What the run has cost before.
        price: Of the model.
        counter: Of the tokens of requests.
        max_answer_tokens: Most tokens of an answer, as the LLM is told.
        uncounted: Tokens of requests and of answers, estimated, for those answers in `spent` that the server did not
            count; see `uncounted_tokens`.

    Raises:
        ParameterError: There is a cap on money, and no price.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        spent: Spending,
        price: Price | None,
        counter: TokenCounter,
        max_answer_tokens: int | None,
        uncounted: tuple[int, int] = (0, 0),
    ) -> None:
        if budget.max_usd is not None and price is None:
            raise ParameterError(
                f"max_usd={budget.max_usd:g} can only be kept where the model's price is known; add it to a price file"
            )
        self.budget = budget
        self._spending = spent
        self._estimated = _Amount(0, *uncounted)
        self._spent = self._summed()
        self._price = price
        self._counter = counter
        self._max_answer_tokens = max_answer_tokens
        self._longest_answer: int | None = None
        self._margin = 0
        self._held: dict[Reservation, _Amount] = {}
        self._held_in_all = _Amount()
        self._reached: str | None = None
        self._refusal: str | None = None
        self._n_settled = 0

    @property
    def spending(self) -> Spending:
        """What the run has cost, by the server's counts. A call that failed counts as failed even if it is repeated."""
        return self._spending

    @property
    def n_settled(self) -> int:
        """Calls that this ledger has settled, those that failed included; `spending` may have those of others too."""
        return self._n_settled

    @property
    def tokens(self) -> int:
        """What counts against the cap on tokens: the server's counts, and an estimate where it gave none."""
        return self._spent.tokens

    @property
    def usd(self) -> float | None:
        """What the tokens cost; None where the model has no price."""
        return self._usd(self._spent)

    @property
    def reached(self) -> str | None:
        """The cap for which a call was refused that would not have fitted with nothing else in flight, if any."""
        return self._reached

    @property
    def refusal(self) -> str | None:
        """The same as a sentence, with what is spent and what that call might have cost."""
        return self._refusal

    def reserve(self, messages: Sequence[Message]) -> Reservation | None:
        """Hold free what a call may cost; None if it could exceed the budget.

        Then, if `reached` is None, calls in flight hold the rest of the budget, and it may fit once they are settled.
        """
        margin = self._margin
        reservation = Reservation(self._counter.count(messages) + margin, self._answer_tokens(), margin)
        amount = _Amount(1, reservation.prompt_tokens, reservation.answer_tokens)
        if self._exceeded(self._spent + self._held_in_all + amount):
            self._note_refusal(amount)
            return None
        self._held[reservation] = amount
        self._held_in_all += amount
        return reservation

    def settle(self, reservation: Reservation, outcome: Outcome) -> None:
        """Replace a reservation by what the call has cost.

        Raises:
            ParameterError: It was settled or released before.
        """
        self.release(reservation)
        self._n_settled += 1
        if isinstance(outcome, Completion):
            self._settle_completion(reservation, outcome)
        else:
            self._settle_failure(outcome)
        self._spent = self._summed()

    def release(self, reservation: Reservation) -> None:
        """Give back what is held for a call that was not made.

        Raises:
            ParameterError: It was settled or released before.
        """
        if reservation not in self._held:
            raise ParameterError(f"{reservation} is not held by this ledger, or was settled before; settle it once")
        self._held_in_all -= self._held.pop(reservation)

    def observe(self, spent: Spending) -> None:
        """Take in what the store says that the run has cost: others may be working on it too.

        What this ledger has settled and the store does not show yet is not lost.
        """
        self._spending = Spending(*map(max, astuple(self._spending), astuple(spent)))
        self._spent = self._summed()

    def _summed(self) -> _Amount:
        spending = self._spending
        return self._estimated + _Amount(spending.requests, spending.prompt_tokens, spending.completion_tokens)

    def _answer_tokens(self) -> int:
        return self._max_answer_tokens or self._longest_answer or _UNSEEN_ANSWER_TOKENS

    def _usd(self, amount: _Amount) -> float | None:
        return None if self._price is None else self._price.cost(amount.prompt_tokens, amount.completion_tokens)

    def _measures(self, amount: _Amount) -> dict[str, float]:
        """Return what each cap that is set is compared with."""
        measures = {"max_calls": amount.requests, "max_tokens": amount.tokens, "max_usd": self._usd(amount)}
        return {name: value for name, value in measures.items() if getattr(self.budget, name) is not None and value}

    def _exceeded(self, amount: _Amount) -> str | None:
        measures = self._measures(amount)
        return next((name for name, value in measures.items() if value > getattr(self.budget, name)), None)

    def _note_refusal(self, amount: _Amount) -> None:
        """Remember the cap if waiting for the calls in flight cannot help."""
        cap = self._exceeded(self._spent + amount)
        if cap is None or self._reached is not None:
            return
        spent, more = (_shown(self._measures(each).get(cap, 0)) for each in (self._spent, amount))
        self._reached = cap
        self._refusal = f"{cap}={_shown(getattr(self.budget, cap))}: {spent} spent, the next call may take {more}"

    def _settle_completion(self, reservation: Reservation, completion: Completion) -> None:
        prompt, answer = completion.prompt_tokens, completion.completion_tokens
        estimated = _Amount(
            prompt_tokens=reservation.prompt_tokens if prompt is None else 0,
            completion_tokens=self._estimated_answer(completion.text) if answer is None else 0,
        )
        counted = Spending(
            requests=completion.attempts,
            answered=1,
            prompt_tokens=prompt or 0,
            completion_tokens=answer or 0,
            uncounted=int(prompt is None or answer is None),
        )
        self._estimated += estimated
        self._spending += counted
        self._margin = max(self._margin, counted.prompt_tokens - (reservation.prompt_tokens - reservation.margin))
        self._longest_answer = max(self._longest_answer or 1, counted.completion_tokens + estimated.completion_tokens)

    def _settle_failure(self, failure: Failure) -> None:
        counted = Spending(
            requests=failure.attempts,
            failed=1,
            prompt_tokens=failure.prompt_tokens or 0,
            completion_tokens=failure.completion_tokens or 0,
        )
        self._spending += counted

    def _estimated_answer(self, text: str) -> int:
        estimate = answer_estimate(self._counter, text)
        return estimate if self._max_answer_tokens is None else min(estimate, self._max_answer_tokens)


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
