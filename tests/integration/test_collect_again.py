"""The same command again: it goes on, keeps to its budget, repeats failures if told to, and does nothing when done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.testing import Faults, SimulatedLLM, WorldAnswerer

N_QUERIES = 20
"""With six prompts: 120 cells."""

FREE_PORT = "http://127.0.0.1:9/v1"
"""Nobody listens there."""


@pytest.fixture
def grid(make_grid):
    return make_grid(N_QUERIES)


@pytest.fixture
def llm(grid):
    with SimulatedLLM([WorldAnswerer(grid.world)]) as llm:
        yield llm


def test_a_finished_run_makes_no_request_at_all(grid, llm, cli, read_run, tmp_path: Path) -> None:
    command = grid.collect(llm.base_url, tmp_path / "run")
    first = cli(*command)
    assert (first.code, llm.requests) == (0, grid.n_cells)
    assert f"Done: {grid.n_cells} calls made." in first.out
    before = read_run(tmp_path / "run")
    llm.__exit__(None, None, None)  # not even to ask whether it is there
    try:
        again = cli(*command)
        as_json = cli(*command, "--json")
    finally:
        llm.__enter__()
    assert again.code == 0
    assert "All is there: no call was made." in again.out
    assert (as_json.json["ending"], as_json.json["n_calls"], as_json.json["to_come"]) == ("done", 0, 0)
    assert read_run(tmp_path / "run") == before


def test_a_second_sample_buys_only_what_is_new(grid, llm, cli, read_run, tmp_path: Path) -> None:
    assert cli(*grid.collect(llm.base_url, tmp_path / "run")).code == 0
    assert cli(*grid.collect(llm.base_url, tmp_path / "run", "--samples", 2)).code == 0
    assert llm.requests == 2 * grid.n_cells
    assert set(llm.counts.received.values()) == {2}
    assert len(read_run(tmp_path / "run").answers) == 2 * grid.n_cells


CAPS = {
    "calls": (("--max-calls", 30), ("--max-calls", 50)),
    "tokens": (("--max-tokens", 4_000), ("--max-tokens", 6_000)),
    "money": (("--max-usd", 0.004), ("--max-usd", 0.006)),
}


@pytest.mark.parametrize("cap", CAPS)
def test_a_budget_ends_a_run_and_a_higher_one_goes_on(cap: str, grid, llm, cli, read_run, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("simulated-llm: {input: 1.0, output: 1.0}\n", encoding="utf-8")
    command = grid.collect(llm.base_url, tmp_path / "run", "--prices", prices, "--max-answer-tokens", 60)
    low, high = CAPS[cap]

    first = cli(*command, *low)
    assert first.code == 3, first.err
    assert "The budget is reached (max_" in first.out
    n_bought, spent = llm.requests, cli(*command, *low, "--json")
    assert 0 < n_bought < grid.n_cells
    assert spent.code == 3
    assert llm.requests == n_bought, "the same command with the same cap bought more"
    found = spent.json
    amounts = {"calls": llm.requests, "tokens": found["spending"]["tokens"], "money": found["usd"]}
    assert amounts[cap] <= low[1]
    assert found["to_come"] == grid.n_cells - n_bought

    second = cli(*command, *high)
    assert second.code == 3
    assert n_bought < llm.requests < grid.n_cells
    assert cli(*command).code == 0
    assert llm.requests == grid.n_cells
    assert set(llm.counts.received.values()) == {1}
    assert len(read_run(tmp_path / "run").answers) == grid.n_cells


def test_only_failures_are_asked_again_and_only_if_told_so(grid, llm, cli, read_run, tmp_path: Path) -> None:
    command = grid.collect(llm.base_url, tmp_path / "run")
    llm.faults = Faults(no_content=0.3)
    first = cli(*command)
    assert first.code == 0
    failed = read_run(tmp_path / "run").failures
    assert 0 < len(failed) < grid.n_cells
    assert f"{len(failed)} calls have failed and count as missing; --retry-failed asks them again." in first.out

    llm.faults = Faults()
    assert cli(*command).code == 0
    assert llm.requests == grid.n_cells
    received = llm.counts.received
    assert cli(*command, "--retry-failed").code == 0
    asked_again = llm.counts.received - received
    after = read_run(tmp_path / "run")
    assert set(asked_again) == after.contents(grid, failed)
    assert set(asked_again.values()) == {1}
    assert len(after.answers) == grid.n_cells
    assert cli(*command, "--retry-failed").code == 0
    assert llm.requests == grid.n_cells + len(failed)


def test_what_fails_again_is_a_failure_again_and_asked_once(make_grid, llm, cli, read_run, tmp_path: Path) -> None:
    grid = make_grid(7)  # so few cells that the server is not taken to be down
    command = grid.collect(llm.base_url, tmp_path / "run")
    llm.faults = Faults(no_content=1.0)
    assert cli(*command).code == 0
    assert cli(*command, "--retry-failed").code == 0
    assert llm.requests == 2 * grid.n_cells
    assert len(read_run(tmp_path / "run").failures) == grid.n_cells


def test_a_plan_makes_nothing_and_asks_nothing(grid, cli, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    command = grid.collect(FREE_PORT, tmp_path / "run", "--plan")
    shown = cli(*command)
    assert shown.code == 0
    assert f"Calls to come: {grid.n_cells}" in shown.out
    assert "unpriced" in shown.out
    assert cli(*command, "--json").json["to_come"] == grid.n_cells
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_plan_of_a_run_that_has_begun_changes_nothing(grid, llm, cli, read_run, tmp_path: Path) -> None:
    command = grid.collect(llm.base_url, tmp_path / "run")
    assert cli(*command, "--max-calls", 30).code == 3
    before = read_run(tmp_path / "run")
    assert cli(*command, "--plan", "--json").json["to_come"] == grid.n_cells - 30
    assert read_run(tmp_path / "run") == before
    assert llm.requests == 30


@pytest.mark.parametrize("strategy", ["random", "random-cells", "uncertain"])
def test_a_drawn_strategy_goes_on_where_it_was(strategy: str, grid, llm, cli, read_run, tmp_path: Path) -> None:
    drawn = ("--strategy", strategy, "--fraction", 0.5, "--grader", "numeric")
    whole, broken = (grid.collect(llm.base_url, tmp_path / name, *drawn) for name in ("whole", "broken"))
    assert cli(*whole).code == 0
    n_bought = llm.requests
    assert 0 < n_bought < grid.n_cells
    assert cli(*broken, "--max-calls", n_bought // 2).code == 3
    assert cli(*broken).code == 0
    assert llm.requests == 2 * n_bought
    assert cli(*broken).code == 0
    assert llm.requests == 2 * n_bought
    assert read_run(tmp_path / "broken").answers == read_run(tmp_path / "whole").answers
    exported = tmp_path / "run.jsonl"
    assert cli("export", tmp_path / "broken", "--to", exported).code == 0
    rows = [json.loads(line) for line in exported.read_text(encoding="utf-8").splitlines()]
    assert all(0 < row["propensity"] < 1 for row in rows)
