"""The tables `portfolio`, `data_size` and `unseen_prompts`: the rows that they make of a world that is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.reproduction import data_size, portfolio, unseen_prompts
from prompt_oirl.reproduction.cells import Settings
from prompt_oirl.reproduction.rows import ResultRow
from prompt_oirl.reproduction.runner import TABLES
from prompt_oirl.testing.world import SyntheticWorld

HERE = Path()
PLACE = {"llm": "llama-2-7b-chat", "dataset": "mawps"}


def world(*, interaction: float = 1.5, repeats: int = 1) -> Demonstrations:
    made = SyntheticWorld(n_queries=300, interaction=interaction, repeats=repeats, missing=0.0, unparsable=0.0)
    return made.demonstrations


def load(demonstrations: Demonstrations, monkeypatch: pytest.MonkeyPatch) -> None:
    place = PLACE | {"protocol": "by_template", "k": 6, "prompts": "0,1,2,3,4,5", "note": None}

    def load_logged(*_: object, table: str) -> tuple[Demonstrations, dict[str, Any]]:
        return demonstrations, {**place, "table": table}

    monkeypatch.setattr(portfolio, "load_logged", load_logged)
    monkeypatch.setattr(data_size, "load_logged", load_logged)


def of(rows: Sequence[ResultRow], **wanted: object) -> list[ResultRow]:
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def test_the_rows_of_a_portfolio(monkeypatch: pytest.MonkeyPatch) -> None:
    load(world(repeats=2), monkeypatch)
    rows = portfolio.compute_portfolio(HERE, {**PLACE, "seed": 0})
    for method in ("advantage", "by_trials"):
        sizes = of(rows, method=method, metric=None)
        assert [row.k for row in sizes] == [1, 2, 3, 4, 5, 6]
        assert [len((row.prompts or "").split(",")) for row in sizes] == [1, 2, 3, 4, 5, 6]
        assert (sizes[0].gain, sizes[0].low, sizes[0].high) == (0.0, 0.0, 0.0)
        assert len(of(rows, method=method, metric="share_of_value")) == 6
        smallest = of(rows, method=method, metric="smallest_by_gain")[0]
        assert smallest.value is not None
        assert smallest.low is not None
        assert smallest.high is not None
        assert 2 <= smallest.low <= smallest.value <= smallest.high <= 6
    assert [row.prompts for row in of(rows, method="without")] == list("012345")
    assert sum(row.value or 0 for row in of(rows, method="wins")) == pytest.approx(1)
    assert {row.metric for row in of(rows, method="one_more")} == {
        "failures",
        "caught",
        "success_if_known",
        "success_as_caught",
    }


def test_where_there_is_no_gain_the_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    load(world(interaction=0.0), monkeypatch)
    rows = portfolio.compute_portfolio(HERE, {**PLACE, "seed": 0})
    (by_gain,) = of(rows, method="advantage", metric="smallest_by_gain")
    assert (by_gain.value, by_gain.note) == (None, "no gain to keep")
    assert of(rows, method="advantage", metric="share_of_gain") == []
    # The world asks some queries twice, so a few of them have repeats; no row may rest on queries without.
    assert all(row.n_queries < 60 for row in of(rows, method="by_trials", metric=None))


def test_the_rows_of_a_data_size_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    load(world(), monkeypatch)
    rows = data_size.compute_data_size(HERE, {**PLACE, "seeds": [0, 1]})
    points = of(rows, method="advantage", metric="fraction_of_groups")
    assert [row.value for row in points] == [0.125, 0.25, 0.5, 1.0]
    assert [row.n_queries for row in points] == sorted(row.n_queries for row in points)
    assert len(of(rows, metric="gain_per_doubling")) == 1
    (twice,) = of(rows, method="extrapolated")
    assert (twice.value, twice.n_queries) == (2.0, 600)
    assert twice.note
    assert twice.seeds == "0,1"


class FakeRelease:
    """Sixteen prompts of which ten were logged on every third query only."""

    def __init__(self, _: Path) -> None:
        made = world()
        self.wide = Demonstrations(
            queries=made.queries,
            prompts=(*made.prompts, *(p.__class__(f"x{i}", p.template) for i, p in enumerate(made.prompts[:4]))),
            trials=np.hstack([made.trials, made.trials[:, :4]]),
            successes=np.hstack([made.successes, made.successes[:, :4]]),
            unscored=np.hstack([made.unscored, made.unscored[:, :4]]),
        )

    def trials(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(demonstrations=self.demonstrations)

    def demonstrations(self, part: str = "all", *, prompts: Sequence[int]) -> Demonstrations:
        rows = np.arange(0, self.wide.n_queries, 3) if part == "test" else np.arange(self.wide.n_queries)
        columns = [column for column in prompts if column < self.wide.n_prompts]
        return self.wide.select_queries(rows).select_prompts(columns)


def test_the_rows_on_unseen_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen_prompts, "Release", FakeRelease)
    rows = unseen_prompts.compute_knowledge(HERE, {"dataset": "mawps", "seed": 0})
    for method in ("prompts_left_out", "both_left_out"):
        for metric in ("pairwise_accuracy", "accuracy_from_knowledge", "correlation", "gain"):
            (over_queries,) = of(rows, method=method, metric=metric, prompts=None)
            (over_prompts,) = of(rows, method=method, metric=f"{metric}_over_prompts")
            assert over_queries.value == over_prompts.value
            assert over_prompts.note == "6 prompts"
        assert [row.prompts for row in of(rows, method=method, metric="share_chosen")] == list("012345")
    (verdict,) = of(rows, metric="may_win")
    assert verdict.note is not None
    assert "left out in turn" in verdict.note


def test_the_rows_on_irl10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen_prompts, "Release", FakeRelease)
    rows = unseen_prompts.compute_irl10(HERE, {"dataset": "mawps", "seed": 0})
    values = {row.method: row for row in rows if row.metric is None}
    assert values["best_single"].gain == 0
    assert values["irl0"].n_queries == 100
    difference = values["admitted_less_irl10"]
    assert difference.gain == pytest.approx((values["admitted"].value or 0) - (values["irl10"].value or 0))
    shares = {row.method: row.value for row in of(rows, metric="share_held_out")}
    assert shares["irl0"] == 0
    may_win = [row.value for row in of(rows, metric="may_win")]
    assert len(may_win) == 2
    assert (shares["admitted"] or 0) <= sum(each or 0 for each in may_win)  # never where neither half has the evidence


def test_the_tables_are_among_those_to_reproduce() -> None:
    for name, n_cells in (("portfolio", 9), ("data_size", 9), ("unseen_prompts", 6)):
        cells = [cell for make in TABLES[name] for cell in make(Settings())]
        assert len(cells) == n_cells
        assert {cell.table for cell in cells} == {name}
        assert len({cell.id for cell in cells}) == n_cells
        fast = [cell for make in TABLES[name] for cell in make(Settings(fast=True))]
        assert 0 < len(fast) < n_cells


@pytest.mark.real_logs
def test_on_the_llama_logs_few_prompts_keep_the_gain_on_mawps(data_folder: Path) -> None:
    rows = portfolio.compute_portfolio(data_folder, {**PLACE, "seed": 0})
    two = of(rows, method="advantage", metric="share_of_gain", k=2)[0]
    assert (two.value or 0) > 0.6
    by_trials = of(rows, method="by_trials", metric=None, k=6)[0]
    assert (by_trials.low or 0) > 0.03
    assert [row.prompts for row in of(rows, method="wins", value=0.0)] == ["3", "4"]
