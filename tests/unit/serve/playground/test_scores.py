from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.recommender import Recommendation, ScoredPrompt
from prompt_oirl.records import Prompt, Query
from prompt_oirl.serve.playground.scores import score_chart


def recommendation(*scores: float) -> Recommendation:
    """Prompt 0 is chosen."""
    prompts = [Prompt.from_text(f"Wording {i}.", id=str(i)) for i in range(len(scores))]
    others = tuple(ScoredPrompt(prompt, score) for prompt, score in zip(prompts[1:], scores[1:], strict=True))
    return Recommendation(Query("Two plus two?"), prompts[0], scores[0], others, "a reason")


def test_bars_start_at_zero_and_share_one_scale() -> None:
    chart = score_chart(recommendation(0.3, 0.1, -0.1), "1")
    found = [(bar.prompt_id, round(bar.start), round(bar.width), round(bar.lead, 3)) for bar in chart.bars]
    assert found == [("0", 25, 75, 0.2), ("1", 25, 25, 0.0), ("2", 0, 25, -0.2)]
    assert (round(chart.zero), round(chart.mark)) == (25, 50)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_every_bar_is_inside_the_chart(scores: list[float]) -> None:
    chart = score_chart(recommendation(*scores), "0")
    assert len(chart.bars) == len(scores)
    assert sum(bar.is_chosen for bar in chart.bars) == 1
    for bar in chart.bars:
        assert -1e-9 <= bar.start <= bar.start + bar.width <= 100 + 1e-6
    assert -1e-9 <= chart.mark <= 100 + 1e-6


def test_a_query_that_was_not_scored_has_no_bars() -> None:
    assert score_chart(recommendation(math.nan), "0").bars == ()


def test_a_prompt_without_a_score_has_no_bar() -> None:
    assert [bar.prompt_id for bar in score_chart(recommendation(0.5, math.nan), "0").bars] == ["0"]


@pytest.mark.parametrize("best_single", ["0", "19"])
def test_of_many_prompts_the_best_come_first_with_the_choice_and_the_best_single(best_single: str) -> None:
    chart = score_chart(recommendation(-5.0, *(float(i) for i in range(19))), best_single)
    first, after = chart.first(3), chart.after(3)
    assert {"0", best_single} <= {bar.prompt_id for bar in first}
    assert [bar.prompt_id for bar in first[:3]] == ["19", "18", "17"]
    assert sorted(int(bar.prompt_id) for bar in (*first, *after)) == list(range(20))
