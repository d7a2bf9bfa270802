"""The page's templates: every value is escaped, so that HTML in a query, a prompt or an answer is shown as text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from prompt_oirl.evaluation.estimate import Estimate

__all__ = ["render"]


def render(template: str, /, **values: Any) -> str:
    """Return the HTML of a template with these values."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("prompt_oirl.serve.playground"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, signed=_signed, share=_share, points=_points, interval=_interval)
    environment.filters.update(moment=_moment, evidence=_evidence)
    return environment


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _share(value: float) -> str:
    return f"{value:.0%}"


def _points(value: float) -> str:
    """Return a difference of shares in percentage points."""
    return f"{100 * value:+.0f}".replace("-", "−").replace("+0", "0").replace("−0", "0")


def _interval(estimate: Estimate) -> str:
    low, high = (f"{100 * end:.1f}".replace("-", "−") for end in (estimate.low, estimate.high))
    return f"{estimate.level:.0%} interval {low} to {high} %, {estimate.n_queries:,} queries"


def _evidence(gain: Estimate) -> str:
    """Return whether the interval of a gain is above 0, below it, or neither."""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else "open"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
