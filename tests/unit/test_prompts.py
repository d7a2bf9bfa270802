from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.prompts import read_prompts, write_prompts
from prompt_oirl.records import Prompt

YAML = """
prompts:
  - id: steps
    text: "Let's think step by step:"
  - id: first
    template: "Read this first. {{query}}"
  - text: The answer is
"""


def written(folder: Path, content: str | bytes, name: str = "prompts.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_yaml(tmp_path: Path) -> None:
    prompts = read_prompts(written(tmp_path, YAML))
    assert prompts == (
        Prompt(id="steps", template="{{query}}\nLet's think step by step:"),
        Prompt(id="first", template="Read this first. {{query}}"),
        Prompt.from_text("The answer is"),
    )


def test_json_with_a_byte_order_mark(tmp_path: Path) -> None:
    content = json.dumps([{"template": "{{query}} ¿?"}], ensure_ascii=False).encode("utf-8-sig")
    assert read_prompts(written(tmp_path, content, "prompts.json")) == (Prompt.from_text("{{query}} ¿?"),)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "a list of prompts"),
        ("[]", "a list of prompts"),
        ("prompts: []", "a list of prompts"),
        ("prompts: [{text: a}]\nversion: 1", "a list of prompts"),
        ("just text", "a list of prompts"),
        ("- just text", "prompt 1 of the list: 'just text' is no prompt"),
        ("- {id: a, txt: b}", "prompt 1 of the list: the key 'txt' is not known; known are id, template, text"),
        ("- {id: a}", "either 'template'"),
        ("- {id: a, text: b, template: '{{query}}'}", "either 'template'"),
        ("- {id: a, template: no slot}", r"has no \{\{query\}\} slot"),
        ("- {id: a, text: 'a {{query}}'}", "call it 'template'"),
        ("- {id: 7, text: a}", "'id' must be a non-empty text, got 7; put quotes"),
        ("- {id: no, text: a}", "'id' must be a non-empty text, got False"),
        ("- {id: a, text: '  '}", "'text' must be a non-empty text"),
        ("- {id: a, text: b}\n- {id: a, text: c}", "prompt 2 of the list: the id 'a' is also that of prompt 1"),
        ("- {text: b}\n- {text: b}", "is also that of prompt 1"),
        ("- {id: a", "cannot be read as yaml"),
        (b"- {id: a, text: \xff}", "cannot be read as yaml in UTF-8"),
        ("- !!python/object/apply:os.system ['true']", "cannot be read as yaml"),
    ],
)
def test_malformed_files_are_errors_that_name_file_and_entry(
    tmp_path: Path, content: str | bytes, problem: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(FileFormatError, match=problem) as error:
        read_prompts(path)
    assert str(path) in str(error.value)


def test_malformed_json_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read as json"):
        read_prompts(written(tmp_path, "[{", "prompts.json"))


def test_missing_files_and_unknown_suffixes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="is no file"):
        read_prompts(tmp_path / "prompts.yaml")
    with pytest.raises(FileFormatError, match=r"'\.txt' is not known"):
        read_prompts(written(tmp_path, YAML, "prompts.txt"))
    with pytest.raises(ParameterError, match=r"not as 'prompts\.txt'"):
        write_prompts([Prompt.from_text("a")], tmp_path / "prompts.txt")


def test_nothing_is_written_for_no_prompts_or_ids_that_are_not_distinct(tmp_path: Path) -> None:
    for prompts in ([], [Prompt.from_text("a", id="x"), Prompt.from_text("b", id="x")]):
        with pytest.raises(DataError, match="distinct ids"):
            write_prompts(prompts, tmp_path / "prompts.yaml")
    assert not list(tmp_path.iterdir())


texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = texts.filter(lambda name: bool(name.strip()))
prompt_sets = st.lists(
    st.builds(lambda name, before, after: Prompt(name, before + "{{query}}" + after), names, texts, texts),
    min_size=1,
    max_size=5,
    unique_by=lambda prompt: prompt.id,
)


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
@given(prompts=prompt_sets)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, prompts: list[Prompt]) -> None:
    path = tmp_path_factory.mktemp("round_trip") / f"prompts.{suffix}"
    write_prompts(prompts, path)
    assert read_prompts(path) == tuple(prompts)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
