"""`inspect --headroom` on logs with repeated trials, with single ones, and with too few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.testing import SyntheticWorld


def logs(folder: Path, **of_world: float) -> Path:
    path = folder / "logs.jsonl"
    SyntheticWorld(**of_world).write_logs(path)
    return path


def test_with_repeats_there_are_floor_model_and_ceiling(cli, tmp_path: Path) -> None:
    path = logs(tmp_path, n_queries=200, repeats=4, interaction=2)
    command = ("inspect", path, "--grader", "numeric", "--headroom")
    ended = cli(*command)
    assert ended.code == 0
    for part in ("floor: by other trials", "floor: by the cross-validated", "the perfect choice", "ceiling:"):
        assert part in ended.out
    assert "Headroom found" in ended.out
    assert "interaction" in ended.out
    found = cli(*command, "--json").json["headroom"]
    assert found["verdict"] == "found"
    assert found["by_trials"]["value"] < found["perfect"]["value"] < found["ceiling"]["value"]
    assert found["variance"]["noise"]["value"] > 0


def test_single_trials_ask_for_repeats_and_say_how_many(cli, tmp_path: Path) -> None:
    rows = []
    for line in logs(tmp_path, n_queries=120, repeats=2, interaction=0, missing=0).read_text("utf-8").splitlines():
        row = json.loads(line)
        if (row["query"], row["prompt_id"]) not in {(each["query"], each["prompt_id"]) for each in rows}:
            rows.append(row)
    path = tmp_path / "single.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ("inspect", path, "--grader", "numeric", "--headroom")
    ended = cli(*command)
    assert "cannot be told" in ended.out
    assert "Repeated trials: 0 of 120 queries" in ended.out
    assert "log several trials of each query and prompt" in " ".join(ended.out.split())
    assert "8 find" in ended.out
    found = cli(*command, "--json").json["headroom"]
    assert (found["by_trials"], found["perfect"], found["variance"]) == (None, None, None)
    assert found["by_policy"] is not None
    assert found["power"]["headroom_by_repeats"]["8"] > 0


def test_without_the_option_nothing_is_said_of_it(cli, tmp_path: Path) -> None:
    path = logs(tmp_path, n_queries=30)
    assert "headroom" not in cli("inspect", path, "--grader", "numeric", "--json").json
    assert "Headroom" not in cli("inspect", path, "--grader", "numeric").out


def test_prompts_that_never_fail_tell_nothing_of_headroom(cli, tmp_path: Path) -> None:
    path = tmp_path / "always.csv"
    rows = [f"what is {'x' * length},p{prompt},1" for length in range(1, 41) for prompt in (0, 1) for _ in range(2)]
    path.write_text("\n".join(["query,prompt,correct", *rows]) + "\n", encoding="utf-8")
    ended = cli("inspect", path, "--headroom")
    assert ended.code == 0
    assert "cannot be told from these logs" in ended.out


@pytest.mark.parametrize(("n_queries", "code"), [(1, 1), (3, 0)])
def test_too_few_queries_are_refused_or_marked(cli, tmp_path: Path, n_queries: int, code: int) -> None:
    path = tmp_path / "few.csv"
    lines = [f"{name},p{prompt},{prompt}" for name in "abc"[:n_queries] for prompt in (0, 1)]
    path.write_text("\n".join(["query,prompt,correct", *lines]) + "\n", encoding="utf-8")
    ended = cli("inspect", path, "--headroom")
    assert ended.code == code
    said = " ".join((ended.out + ended.err).split())
    assert ("at least two" if code else "too few to trust") in said
    assert not code or str(path) in said
