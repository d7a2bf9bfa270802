from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from prompt_oirl.collect.cluster.shards import Shards, read_shard, shard_of
from prompt_oirl.errors import FileFormatError, StoreError
from prompt_oirl.records import Prompt, Query, Question
from prompt_oirl.runs.cells import Cell, CellKeys
from prompt_oirl.runs.configuration import RunConfiguration, SamplingParameters
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome
from prompt_oirl.runs.spending import Spending
from prompt_oirl.runs.store import RunStore, StoredOutcome

CONFIGURATION = RunConfiguration("a-model", "http://127.0.0.1:1/v1", SamplingParameters(temperature=0.5))
PROMPT = Prompt.from_text("Think.", id="think")
QUESTIONS = tuple(Question(Query(f"What is {n} plus {n}?")) for n in range(4))

ANSWER = Completion("It is\n\t\0 4 🙂.", "a-model-1", "stop", 10, 5, 0.25, 3)
UNCOUNTED = Completion("", "a-model-1")
FAILURE = Failure("server_error", "the server said no", 500, 6)
REFUSAL = Failure("no_content", "filtered", None, 1, 12, 0)


def result(number: int, outcome: Outcome) -> StoredOutcome:
    query = QUESTIONS[number].query
    key = CellKeys(CONFIGURATION).of(PROMPT.messages(query))
    return StoredOutcome(Cell(key, query.id, PROMPT.id, propensity=0.125), outcome)


RESULTS = [result(number, outcome) for number, outcome in enumerate((ANSWER, UNCOUNTED, FAILURE, REFUSAL))]


@pytest.fixture
def store(tmp_path: Path):
    with RunStore.open(f"sqlite:///{tmp_path / 'store.sqlite'}", configuration=CONFIGURATION) as opened:
        opened.register(QUESTIONS, [PROMPT])
        yield opened


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return Shards.of(tmp_path)


def test_a_shard_gives_back_what_it_was_made_of() -> None:
    assert read_shard(shard_of(RESULTS, CONFIGURATION)) == (CONFIGURATION, RESULTS)
    assert read_shard(shard_of([], CONFIGURATION)) == (CONFIGURATION, [])


def test_a_shard_is_a_parquet_file_of_the_stores_columns(shards: Shards) -> None:
    path = shards.keep(shard_of(RESULTS, CONFIGURATION), RESULTS)
    table = pyarrow.parquet.read_table(path)
    assert table.column("text").to_pylist() == [ANSWER.text, "", None, None]
    assert table.column("state").to_pylist() == ["answered", "answered", "failed", "failed"]
    assert table.column("key").to_pylist() == [each.cell.key for each in RESULTS]


def test_a_shard_is_named_by_its_keys_in_whatever_order(shards: Shards) -> None:
    paths = {shards.keep(shard_of(results, CONFIGURATION), results) for results in (RESULTS, RESULTS[::-1])}
    assert len(paths) == 1
    assert shards.keep(shard_of(RESULTS[:1], CONFIGURATION), RESULTS[:1]) not in paths


def test_what_was_left_over_is_merged(store: RunStore, shards: Shards) -> None:
    for part in (RESULTS[:1], RESULTS[1:]):
        shards.keep(shard_of(part, CONFIGURATION), part)
    assert shards.merge(store) == 4
    assert list(store.outcomes()) == RESULTS
    assert not shards.folder.exists()
    assert shards.merge(store) == 0


def test_what_was_merged_already_is_neither_changed_nor_counted_twice(store: RunStore, shards: Shards) -> None:
    store.save(RESULTS[:3])
    spent = store.spending()
    again = [replace(RESULTS[0], outcome=replace(ANSWER, text="another")), *RESULTS[1:3]]
    shards.keep(shard_of(again, CONFIGURATION), again)
    assert shards.merge(store) == 0
    assert list(store.outcomes()) == RESULTS[:3]
    assert store.spending() == spent == Spending(10, 2, 1, 10, 5, 1)


def test_a_cell_in_two_shards_is_saved_once(store: RunStore, shards: Shards) -> None:
    for part in (RESULTS[:2], RESULTS[:3]):
        shards.keep(shard_of(part, CONFIGURATION), part)
    assert shards.merge(store) == 3
    assert store.spending().requests == 10


def test_a_shard_that_was_being_written_is_removed(store: RunStore, shards: Shards) -> None:
    shards.folder.mkdir()
    (shards.folder / ".abc.0123.parquet").write_bytes(b"PAR1")
    assert shards.merge(store) == 0
    assert not shards.folder.exists()


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_shard_stays_and_says_what_to_do(cut: int, store: RunStore, shards: Shards) -> None:
    path = shards.keep(shard_of(RESULTS, CONFIGURATION)[:cut], RESULTS)
    with pytest.raises(FileFormatError, match=r"is no shard of a run, or a damaged one .*; remove it"):
        shards.merge(store)
    assert path.exists()


def test_another_parquet_file_is_no_shard(store: RunStore, shards: Shards) -> None:
    path = shards.keep(b"", RESULTS)
    pyarrow.parquet.write_table(pyarrow.table({"key": [b"0" * 16]}), path)
    with pytest.raises(FileFormatError, match="a shard of format None"):
        shards.merge(store)


def test_a_shard_of_another_run_is_refused(store: RunStore, shards: Shards) -> None:
    path = shards.keep(shard_of(RESULTS, replace(CONFIGURATION, model="another")), RESULTS)
    with pytest.raises(StoreError, match=r"parquet is a shard of another run.*model: 'another' here, 'a-model' there"):
        shards.merge(store)
    assert path.exists()
    assert not store.states()
