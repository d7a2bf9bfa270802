"""Rows that came to be with unequal probabilities: what is not weighted by these is biased."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from prompt_oirl.errors import DataError, UnequalPropensityWarning
from prompt_oirl.sources.columns import Columns
from prompt_oirl.sources.logged_decisions import PropensityOf

__all__ = [
    "ACTION_PROBABILITIES",
    "ATTEMPTS",
    "PROPENSITY",
    "look_at_propensities",
    "parse_action_probabilities",
    "warn_if_unequal",
]

PROPENSITY, ACTION_PROBABILITIES = "propensity", "action_probabilities"

ATTEMPTS = "attempts"
"""A column that the export of a run has and that of decisions has not: its propensities are those of cells."""

_WAY_OUT = "prompt-oirl evaluate RECOMMENDER LOGS --off-policy"


def warn_if_unequal(
    propensities: Collection[float], place: Path | str, *, propensity_of: PropensityOf = "cell"
) -> None:
    """Warn if trials were bought, or prompts chosen, with different probabilities.

    Demonstrations are counts and hold no propensities. A reward model may learn from such counts; success rates and
    gains on them lean towards what the strategy, or the policy that was served, preferred.

    Args:
        propensities: The different values there are.
        place: File or run that they are from.
        propensity_of: What they are the probability of.
    """
    if len(propensities) < 2:
        return
    spread = f"with probabilities from {min(propensities):.3g} to {max(propensities):.3g}"
    message = {
        "cell": f"trials were bought {spread}, and success rates and gains on them are not weighted by these, so they "
        "are biased; learn from them, but evaluate on queries that were asked with every prompt, or drawn by the "
        f"strategy random, or weigh them: {_WAY_OUT}",
        "choice": f"the rows are decisions, whose prompts were chosen {spread}, and success rates and gains on them "
        "are not weighted by these, so they are biased; learn from them, but weigh them to say what a recommender is "
        f"worth: {_WAY_OUT}",
    }[propensity_of]
    warnings.warn(f"{place}: {message}", UnequalPropensityWarning, stacklevel=3)


def look_at_propensities(columns: Columns) -> None:
    """Warn where the propensities of a file of trials or decisions differ.

    Raises:
        FileFormatError: One is no probability.
    """
    found = set(_propensities(columns)) or set(_probabilities_of_candidates(columns))
    is_of_run = ATTEMPTS in columns and ACTION_PROBABILITIES not in columns
    warn_if_unequal(found, columns.path, propensity_of="cell" if is_of_run else "choice")


def _propensities(columns: Columns) -> Iterator[float]:
    if PROPENSITY not in columns:
        return
    for code, text in enumerate(columns[PROPENSITY].values):
        propensity = _number(text)
        if not 0 < propensity <= 1:
            problem = f"{PROPENSITY!r} is {text!r:.80}; a probability above 0 and at most 1 is expected, or nothing"
            raise columns.error(problem, row=columns[PROPENSITY].first_row(code))
        yield propensity


def _probabilities_of_candidates(columns: Columns) -> Iterator[float]:
    """Yield what candidates were chosen with: where these differ, so do propensities."""
    if ACTION_PROBABILITIES not in columns:
        return
    for code, text in enumerate(columns[ACTION_PROBABILITIES].values):
        try:
            yield from (each for each in parse_action_probabilities(text).values() if each > 0)
        except DataError as error:
            row = columns[ACTION_PROBABILITIES].first_row(code)
            raise columns.error(f"{ACTION_PROBABILITIES!r} is {text!r:.200}; {error}", row=row) from error


def parse_action_probabilities(text: str) -> dict[str, float]:
    """Return the probability of each candidate by its id.

    Raises:
        DataError: The text is no JSON object, or a value no probability.
    """
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DataError(
            'a JSON object of prompt ids and probabilities is expected, such as {"steps": 0.9, "short": 0.1}'
        )
    for id, probability in found.items():
        is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
        if not (is_number and 0 <= probability <= 1):
            raise DataError(f"{probability!r:.80} for {id!r:.80} is no probability from 0 to 1")
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
