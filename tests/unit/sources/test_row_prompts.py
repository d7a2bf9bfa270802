"""The messages before a prompt, in files of demonstrations; prompts without them are tested with the files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.demonstrations import Demonstrations
from prompt_oirl.errors import DataError, FileFormatError
from prompt_oirl.records import ROLES, Demonstration, Message, Prompt, Query
from prompt_oirl.sources.row_prompts import context_from_json, context_to_json
from prompt_oirl.sources.tabular import read_demonstrations, write_demonstrations

Rows = list[dict[str, object]]
BRIEF, LONG = (Message("system", "Be brief."),), (Message("system", "Be long."), Message("assistant", "Yes.\n“ü”"))
PROMPTS = (Prompt("plain", "{{query}}"), Prompt("brief", "{{query}}", BRIEF), Prompt("long", "{{query}}", LONG))


def row(prompt: Prompt, /, **fields: object) -> dict[str, object]:
    context = context_to_json(prompt.context) if prompt.context else None
    made = {"query": "a", "prompt_id": prompt.id, "prompt": prompt.template, "prompt_context": context, "correct": "1"}
    return made | fields


def write_csv(rows: Rows, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


WRITERS: dict[str, Callable[[Rows, Path], None]] = {
    "jsonl": lambda rows, path: path.write_text("".join(json.dumps(row) + "\n" for row in rows)),
    "csv": write_csv,
    "parquet": lambda rows, path: pa.parquet.write_table(pa.Table.from_pylist(rows), path),
}


@pytest.fixture(params=WRITERS)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rows], Path]:
    def write(rows: Rows) -> Path:
        path = tmp_path / f"logs.{request.param}"
        WRITERS[request.param](rows, path)
        return path

    return write


def test_the_context_is_part_of_the_prompt(logs: Callable[[Rows], Path]) -> None:
    found = read_demonstrations(logs([row(PROMPTS[index]) for index in (1, 0, 2, 1)]))
    assert found.prompts == (PROMPTS[1], PROMPTS[0], PROMPTS[2])
    assert found.trials.tolist() == [[2, 1, 1]]


def test_without_ids_wordings_differ_by_their_contexts(logs: Callable[[Rows], Path]) -> None:
    rows = [{name: value for name, value in row(prompt).items() if name != "prompt_id"} for prompt in PROMPTS]
    found = read_demonstrations(logs(rows))
    assert [(prompt.template, prompt.context) for prompt in found.prompts] == [
        (prompt.template, prompt.context) for prompt in PROMPTS
    ]
    assert read_demonstrations(logs(rows), prompts=PROMPTS).prompts == PROMPTS


def test_a_wording_without_a_slot_follows_the_query_unless_its_context_has_the_slot(tmp_path: Path) -> None:
    asked = (Message("user", "{{query}}"), Message("assistant", "Hm."))
    rows = [row(PROMPTS[1], prompt="Think."), row(Prompt("asked", "Well?", asked))]
    WRITERS["jsonl"](rows, tmp_path / "logs.jsonl")
    found = read_demonstrations(tmp_path / "logs.jsonl")
    assert found.prompts == (Prompt("brief", "{{query}}\nThink.", BRIEF), Prompt("asked", "Well?", asked))


def test_one_id_with_two_contexts_is_an_error(logs: Callable[[Rows], Path]) -> None:
    path = logs([row(PROMPTS[1]), row(PROMPTS[0]), row(PROMPTS[1], prompt_context=context_to_json(LONG))])
    with pytest.raises(
        FileFormatError, match=r"'brief' stands for the context .*Be long.* here and for the context .*Be brief.* above"
    ) as error:
        read_demonstrations(path)
    assert error.value.row == (4 if path.suffix == ".csv" else 3)
    with pytest.raises(FileFormatError, match=r"'brief' stands for the context \[\] here"):
        read_demonstrations(logs([row(PROMPTS[1]), row(PROMPTS[1], prompt_context=None)]))


def test_another_context_than_the_prompt_sets_is_an_error(logs: Callable[[Rows], Path]) -> None:
    path = logs([row(PROMPTS[1], prompt_context=context_to_json(LONG))])
    with pytest.raises(FileFormatError, match=r"'brief' is the context .*Be long.* here and the context .*Be brief"):
        read_demonstrations(path, prompts=PROMPTS)
    assert read_demonstrations(logs([row(PROMPTS[2])]), prompts=PROMPTS).trials.tolist() == [[0, 0, 1]]


def test_ids_alone_take_the_context_of_the_prompt_set(logs: Callable[[Rows], Path]) -> None:
    path = logs([{"query": "a", "prompt_id": "long", "correct": "1"}])
    assert read_demonstrations(path, prompts=PROMPTS).prompts == PROMPTS


def test_a_context_needs_its_prompt(logs: Callable[[Rows], Path]) -> None:
    rows = [{name: value for name, value in row(PROMPTS[1]).items() if name != "prompt"}]
    with pytest.raises(FileFormatError, match="'prompt_context' holds the messages before 'prompt', which is missing"):
        read_demonstrations(logs(rows))


@pytest.mark.parametrize(
    "context",
    ["Be brief.", "[1]", '{"role": "system"}', '[{"role": "system"}]', '[{"role": "x", "content": "a"}]', "[" * 10**5],
)
def test_what_is_no_list_of_messages_is_an_error(logs: Callable[[Rows], Path], context: str) -> None:
    path = logs([row(PROMPTS[0]), row(PROMPTS[1], prompt_context=context)])
    with pytest.raises(FileFormatError, match=r"is no list of messages .*; write \[\{.*or leave it empty") as error:
        read_demonstrations(path)
    assert error.value.row == (3 if path.suffix == ".csv" else 2)
    with pytest.raises(DataError):
        context_from_json(context)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_column_is_there_only_where_a_prompt_has_a_context(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"logs.{suffix}"
    for prompts, is_there in ((PROMPTS[:1], False), (PROMPTS, True)):
        records = [Demonstration(Query("a"), prompt, 1) for prompt in prompts]
        write_demonstrations(Demonstrations.from_records(records), path)
        names = (
            pa.parquet.read_schema(path).names
            if suffix == "parquet"
            else list(json.loads(path.read_text().splitlines()[0]))
        )
        assert ("prompt_context" in names) is is_there


texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = texts.filter(lambda text: bool(text.strip()))
slots = st.just(Message("user", "{{query}}"))
contexts = st.lists(st.builds(Message, st.sampled_from(ROLES), names) | slots, max_size=3)
any_prompts = st.builds(
    lambda name, text, context: Prompt.from_text(text, id=name, context=context), names, names, contexts
)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
@given(prompts=st.lists(any_prompts, min_size=1, max_size=4, unique_by=lambda prompt: prompt.id))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, prompts: list[Prompt]) -> None:
    ones = np.ones((1, len(prompts)), dtype=np.int64)
    demonstrations = Demonstrations((Query("a"),), tuple(prompts), ones, ones, 0 * ones)
    path = tmp_path_factory.mktemp("round_trip") / f"logs.{suffix}"
    if suffix == "csv":
        write_csv([row(prompt) for prompt in prompts], path)
    else:
        write_demonstrations(demonstrations, path)
    assert read_demonstrations(path).sha256 == demonstrations.sha256
