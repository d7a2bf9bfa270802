from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from prompt_oirl.collect.collected import Collected
from prompt_oirl.collect.order import Order
from prompt_oirl.collect.progress import Progress
from prompt_oirl.errors import ArtifactError, LLMError, StoreError
from prompt_oirl.prompts import read_prompts
from prompt_oirl.runs.configuration import RunConfiguration
from prompt_oirl.runs.run import Run
from prompt_oirl.sources.queries import read_queries
from prompt_oirl.sources.tabular import read_demonstrations
from prompt_oirl.testing import SyntheticWorld
from prompt_oirl.testing import demo as module
from prompt_oirl.testing.demo import Demo, run_demo

N_QUERIES = 200


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    found = run_demo(tmp_path_factory.mktemp("demo"), n_queries=N_QUERIES, seed=3)
    assert found is not None
    return found


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_run_holds_the_world_in_part(demo: Demo) -> None:
    world = SyntheticWorld(n_queries=N_QUERIES, seed=3)
    with Run.open(demo.folder / "run") as run:
        cells = [stored.cell for stored in run.store.outcomes()]
        assert {each.query for each in run.store.queries()} == set(world.queries)
    assert {cell.propensity for cell in cells} == {0.9}
    assert 0.85 < len(cells) / (N_QUERIES * 6) < 0.95
    assert demo.collected.spending.answered == demo.collected.n_calls == len(cells)
    assert demo.inspection.n_untried_cells == N_QUERIES * 6 - len(cells)


def test_its_files_are_read_by_the_other_commands(demo: Demo) -> None:
    world = SyntheticWorld(n_queries=N_QUERIES, seed=3)
    questions = read_queries(demo.folder / "queries.jsonl", require_gold=True)
    assert {each.query: each.gold for each in questions} == world.golds
    assert set(read_prompts(demo.folder / "prompts.yaml")) == set(world.prompts)
    assert read_demonstrations(demo.folder / "logs.jsonl").n_queries == N_QUERIES
    assert json.loads((demo.folder / "evaluation.json").read_text("utf-8"))["simulated"] is True


def test_the_truth_is_within_what_can_be_had(demo: Demo) -> None:
    assert demo.true_gain <= demo.true_headroom
    assert demo.true_headroom > 0


def test_again_it_asks_nothing_and_finds_the_same(demo: Demo) -> None:
    steps: list[str] = []
    again = run_demo(demo.folder, n_queries=N_QUERIES, seed=3, on_step=steps.append)
    assert again is not None
    assert again.collected.n_calls == 0
    assert again.to_dict() == demo.to_dict()
    assert [step[:3] for step in steps] == ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]


def test_other_settings_are_refused_and_nothing_is_touched(demo: Demo) -> None:
    before = contents_of(demo.folder)
    with pytest.raises(StoreError, match=r"seed=4' here.*seed=3' there.*another --out"):
        run_demo(demo.folder, n_queries=N_QUERIES, seed=4)
    assert contents_of(demo.folder).keys() == before.keys()
    assert contents_of(demo.folder)["logs.jsonl"] == before["logs.jsonl"]


@pytest.mark.parametrize("name", ["logs.jsonl", "queries.jsonl", "prompts.yaml", "evaluation.json", "recommender/x"])
def test_what_is_not_of_a_demo_is_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine", "utf-8")
    with pytest.raises(ArtifactError, match="not of a demo"):
        run_demo(tmp_path, n_queries=N_QUERIES)
    assert contents_of(tmp_path) == {name: b"mine"}


def test_a_run_of_another_llm_is_kept(tmp_path: Path) -> None:
    Run.create_or_open(tmp_path / "run", RunConfiguration("simulated-llm", "http://127.0.0.1:8000/v1")).close()
    with pytest.raises(ArtifactError, match="is a run, and not of a demo"):
        run_demo(tmp_path, n_queries=N_QUERIES)


def test_an_interrupted_demo_goes_on(tmp_path: Path) -> None:
    """Ctrl-C while answers are collected ends it; the next one asks what is left."""
    drained: list[bool] = []

    def interrupt(progress: Progress) -> None:
        if progress.done == 100:
            signal.raise_signal(signal.SIGINT)

    stopped = run_demo(tmp_path, n_queries=N_QUERIES, on_progress=interrupt, on_drain=lambda: drained.append(True))
    assert stopped is None
    assert drained == [True]
    assert not (tmp_path / "logs.jsonl").exists()
    ended = run_demo(tmp_path, n_queries=N_QUERIES)
    assert ended is not None
    assert 0 < ended.collected.n_calls <= ended.collected.spending.answered - 100


def test_a_server_that_cannot_be_started_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.testing.llm_process._MODULE", "prompt_oirl.testing.no_such_server")
    with pytest.raises(LLMError, match=r"the simulated LLM did not start.*No module named"):
        run_demo(tmp_path, n_queries=N_QUERIES)


def test_neither_a_proxy_nor_a_key_has_a_part_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "a key that is no header\n")
    collected: list[Collected] = []
    collect = Order.collect

    async def keep(self: Order, *arguments: Any, **options: Any) -> Collected:
        collected.append(await collect(self, *arguments, **options))
        raise LLMError("far enough")

    monkeypatch.setattr(module.Order, "collect", keep)
    with pytest.raises(LLMError, match="far enough"):
        run_demo(tmp_path, n_queries=20)
    assert collected[0].spending.failed == 0
    assert collected[0].spending.answered == collected[0].n_calls > 0
