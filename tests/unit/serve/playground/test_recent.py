from __future__ import annotations

from prompt_oirl.serve.decision import Decision
from prompt_oirl.serve.playground.recent import PromptDecisions, count_by_prompt


def decision(prompt_id: str) -> Decision:
    return Decision(
        query_id="", query=None, prompt_id=prompt_id, score=None, propensity=1.0, choice="fallback",
        source="gateway", recommender="1", seconds=0.0,
    )  # fmt: skip


def test_rewards_are_averaged_over_decisions_that_have_one() -> None:
    recent = [(decision(name), reward) for name, reward in [("a", 1.0), ("b", None), ("b", 0.0), ("b", 0.5)]]
    assert count_by_prompt(recent) == (PromptDecisions("b", 3, 2, 0.25), PromptDecisions("a", 1, 1, 1.0))
    assert count_by_prompt([(decision("a"), None)]) == (PromptDecisions("a", 1, 0, None),)
    assert count_by_prompt([]) == ()
