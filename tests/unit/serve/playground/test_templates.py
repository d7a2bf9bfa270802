from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.serve.playground.asking import Answer
from prompt_oirl.serve.playground.templates import render


def test_values_are_escaped() -> None:
    html = render("answer.html", answer=Answer("<script>{{ 7 * 7 }}</script>"))
    assert "&lt;script&gt;{{ 7 * 7 }}&lt;/script&gt;" in html
    assert render("models.html", models=('"><script>',)).count("<script>") == 0


def test_a_value_that_is_missing_is_a_mistake() -> None:
    with pytest.raises(UndefinedError):
        render("answer.html")


@pytest.mark.parametrize(
    ("value", "low", "high", "shown", "evidence"),
    [
        (0.051, 0.01, 0.09, "+5", "better"),
        (-0.051, -0.09, -0.01, "−5", "worse"),
        (0.001, -0.01, 0.01, "0", "open"),
        (-0.001, -0.01, 0.01, "0", "open"),
        (0.2, 0.0, 0.4, "+20", "open"),
    ],
)
def test_gains_are_points_with_what_their_interval_says(
    value: float, low: float, high: float, shown: str, evidence: str
) -> None:
    from prompt_oirl.serve.playground.wins import PromptRow, QueryCluster, TrainingWins

    gain = Estimate(value, low, high, level=0.95, n_queries=1234, n_groups=90, n_trials=99, n_left_out=0)
    row = PromptRow("a", 5, None, (gain,), is_best_single=False)
    wins = TrainingWins((QueryCluster((), 7),), (row,), 7)
    html = render("training.html", wins=wins, success_rates=[], n_shown=12)
    assert f'<td class="cell {evidence}"' in html
    assert f">{shown}</td>" in html
    assert "1,234 queries" in html
