"""What calls that are still to come may cost, each figure with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from prompt_oirl.collect.plan.prices import Price
from prompt_oirl.collect.plan.tokens import TokenCounter
from prompt_oirl.records import Message
from prompt_oirl.runs.spending import Spending

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and money of calls to come. What is None is unknown, and its basis says why."""

    calls: int
    prompt_tokens: int
    prompt_basis: str
    completion_tokens: int | None
    completion_basis: str
    usd: float | None
    usd_basis: str

    def to_dict(self) -> dict[str, int | float | str | None]:
        """Return all of it as plain values."""
        return asdict(self)


def estimate(
    n_calls: int,
    requests: Sequence[Sequence[Message]],
    *,
    counter: TokenCounter,
    spent: Spending,
    price: Price | None,
    max_answer_tokens: int | None,
) -> Estimate:
    """Estimate what `n_calls` cost.

    Args:
        n_calls: Calls to come.
        requests: Their messages, or those of a random sample of them, which is scaled up.
        counter: Counts the tokens of a request.
        spent: What calls of the same kind have cost: the mean of their answers is what an answer is taken for.
        price: Of the model; None where it is not known.
        max_answer_tokens: Most tokens of an answer, which is all that is known before there is one.
    """
    counted = sum(map(counter.count, requests))
    prompt_tokens = round(counted * n_calls / len(requests)) if requests else 0
    sampled = f"; a random {len(requests):,} of the {n_calls:,} calls, scaled up" if len(requests) < n_calls else ""
    per_answer, completion_basis = _tokens_per_answer(spent, max_answer_tokens)
    completion_tokens = None if per_answer is None else round(per_answer * n_calls)
    usd, usd_basis = _money(price, prompt_tokens, completion_tokens)
    if usd is not None:
        usd_basis += f"; the answers: {completion_basis.partition(':')[0]}"
    return Estimate(
        n_calls, prompt_tokens, counter.basis + sampled, completion_tokens, completion_basis, usd, usd_basis
    )


def _tokens_per_answer(spent: Spending, max_answer_tokens: int | None) -> tuple[float | None, str]:
    n_counted = spent.answered - spent.uncounted
    if n_counted > 0:
        mean = spent.completion_tokens / n_counted
        return mean, f"measured: {mean:.1f} tokens an answer, the mean of {n_counted:,} stored ones"
    if max_answer_tokens is not None:
        return max_answer_tokens, f"at most: max_tokens={max_answer_tokens} for each answer"
    return None, "unknown: no answer is stored yet, and max_tokens is not set"


def _money(price: Price | None, prompt_tokens: int, completion_tokens: int | None) -> tuple[float | None, str]:
    if price is None:
        return None, "unpriced: no price of the model is known"
    if completion_tokens is None:
        asked = price.cost(prompt_tokens, 0)
        return None, f"unknown, as the tokens of the answers are; the requests alone cost {asked:.4g} USD"
    return price.cost(prompt_tokens, completion_tokens), str(price)
