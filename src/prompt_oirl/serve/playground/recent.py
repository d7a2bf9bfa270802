"""Counts and rewards of the latest decisions, by prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prompt_oirl.serve.decision import Decision

__all__ = ["PromptDecisions", "count_by_prompt"]


@dataclass(frozen=True, slots=True)
class PromptDecisions:
    """How often a prompt was chosen, and what came of it."""

    prompt_id: str
    decisions: int
    with_feedback: int
    mean_reward: float | None
    """Of the decisions with feedback; None without any."""


def count_by_prompt(recent: Iterable[tuple[Decision, float | None]]) -> tuple[PromptDecisions, ...]:
    """Count decisions and average their rewards, the prompt with the most decisions first."""
    rewards_of: dict[str, list[float | None]] = {}
    for decision, reward in recent:
        rewards_of.setdefault(decision.prompt_id, []).append(reward)
    counted = (_counted(prompt_id, rewards) for prompt_id, rewards in rewards_of.items())
    return tuple(sorted(counted, key=lambda row: -row.decisions))


def _counted(prompt_id: str, rewards: list[float | None]) -> PromptDecisions:
    given = [reward for reward in rewards if reward is not None]
    return PromptDecisions(prompt_id, len(rewards), len(given), sum(given) / len(given) if given else None)
