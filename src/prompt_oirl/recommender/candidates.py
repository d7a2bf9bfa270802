"""The reward models that a recommender chooses among unless told otherwise."""

from __future__ import annotations

from prompt_oirl.reward.kernel_advantage import KernelAdvantage
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate

__all__ = ["HEAD_STARTS", "default_candidates"]

HEAD_STARTS = (0.01, 0.02, 0.03)
"""In units of the success rate. A short list on purpose: the differences in gain between head starts are smaller than
the noise that they are chosen by, and a longer list hands more of the choice to luck."""


def default_candidates(seed: int = 0) -> tuple[Candidate, ...]:
    """Return the default candidates: one that works by likeness of texts, one linear in their features.

    Args:
        seed: Of what is drawn at random in them.
    """
    return (
        Candidate("kernel_advantage", KernelAdvantage(seed=seed), HEAD_STARTS),
        Candidate("logistic", LogisticModel(), HEAD_STARTS),
    )
