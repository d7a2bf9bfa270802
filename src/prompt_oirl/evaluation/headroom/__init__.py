"""How much a perfect choice per query could gain over the best single prompt, and what could be seen of it."""

from __future__ import annotations

from prompt_oirl.evaluation.headroom.headroom import Headroom, headroom
from prompt_oirl.evaluation.headroom.identical import IDENTICAL_REPEATS
from prompt_oirl.evaluation.headroom.power import (
    detectable_gain,
    detectable_headroom,
    queries_needed,
    repeats_needed,
)
from prompt_oirl.evaluation.headroom.power_of_logs import PowerStatement
from prompt_oirl.evaluation.headroom.trials_choice import TrialsChoice
from prompt_oirl.evaluation.headroom.variance import VarianceComponents

__all__ = [
    "IDENTICAL_REPEATS",
    "Headroom",
    "PowerStatement",
    "TrialsChoice",
    "VarianceComponents",
    "detectable_gain",
    "detectable_headroom",
    "headroom",
    "queries_needed",
    "repeats_needed",
]
