"""To test with: a synthetic world with a known truth, and contract suites for each protocol."""

from __future__ import annotations

from prompt_oirl.testing.contracts import (
    check_embedder,
    check_grader,
    check_policy,
    check_reward_model,
    check_text_features,
)
from prompt_oirl.testing.world import SyntheticWorld

__all__ = [
    "SyntheticWorld",
    "check_embedder",
    "check_grader",
    "check_policy",
    "check_reward_model",
    "check_text_features",
]
