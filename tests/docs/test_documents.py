"""Documents lead somewhere, name only what exists, and hold no number typed by hand where one can be generated."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from prompt_oirl.cli.app import app

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "benchmarks" / "README.md",
    REPOSITORY / "reproduction" / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(REPOSITORY).as_posix() for path in DOCUMENTS]
)

_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.M)
_KEPT = string.ascii_lowercase + string.digits + "-_ "


def anchor(title: str) -> str:
    """The anchor that a heading gets."""
    return "".join(letter for letter in title.lower() if letter in _KEPT).replace(" ", "-")


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), f"{target} is not there"
        assert linked.is_relative_to(REPOSITORY)
        if heading:
            anchors = [anchor(title) for title in _HEADING.findall(linked.read_text(encoding="utf-8"))]
            assert heading in anchors, f"{target}: headings are {anchors}"


def commands_of(text: str, code_of: Callable[[str], list[Any]]) -> list[list[str]]:
    lines = [line for block in code_of(text) if block.language == "bash" for line in block.text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("prompt-oirl ")]


@every_document
def test_commands_parse(document: Path, code_of: Callable[[str], list[Any]]) -> None:
    group, text = get_command(app), document.read_text(encoding="utf-8")
    commands = commands_of(text, code_of)
    assert len(commands) == len(re.findall(r"^prompt-oirl ", text, re.M)), "each is in a block of bash"
    for arguments in commands:
        name, *rest = arguments
        command = group.commands[name]  # type: ignore[attr-defined]
        command.make_context(name, rest)  # an unknown option, a missing argument, a value of another type: all raise


def test_a_command_that_does_not_parse_is_found() -> None:
    command = get_command(app).commands["train"]  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="--no-such-option"):
        command.make_context("train", ["logs.jsonl", "--out", "recommender/", "--no-such-option"])


@every_document
def test_every_named_command_exists(document: Path) -> None:
    names = {command.name for command in app.registered_commands}
    named = re.findall(r"`prompt-oirl ([a-z]+)\b", document.read_text(encoding="utf-8"))
    assert set(named) <= names


def test_every_command_is_named_in_the_reference() -> None:
    reference = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"## `prompt-oirl {command.name}`" in reference


def test_every_target_of_the_makefile_is_explained() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    explained = (REPOSITORY / "docs" / "development.md").read_text(encoding="utf-8")
    for target in re.findall(r"^([a-z-]+):.*## ", makefile, re.M):
        assert re.search(rf"^\| `make {target}`", explained, re.M)


def test_the_layers_are_those_of_the_contract() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    contract = project.split("layers = [")[1].split("]")[0].replace("prompt_oirl.", "")
    layers = re.findall(r'"(.+)"', contract)
    explained = (REPOSITORY / "docs" / "development.md").read_text(encoding="utf-8")
    assert "\n\n" + "".join(f"    {layer}\n" for layer in layers) in explained


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) < 200


def test_the_readme_maps_every_folder() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name in ("src/prompt_oirl", "tests", "reproduction", "benchmarks", "docs"):
        assert (REPOSITORY / name).is_dir()
        assert f"| `{name}/` |" in text


def test_decisions_are_numbered_without_gaps() -> None:
    records = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))
    for number, path in enumerate(records, start=1):
        title, _, status, *_ = path.read_text(encoding="utf-8").splitlines()
        assert path.name.startswith(f"{number:04d}-")
        assert title.startswith(f"# {number}. ")
        assert re.fullmatch(r"Status: (accepted|replaced by \S+)\. Date: \d{4}-\d\d-\d\d\.", status)


@every_document
def test_no_path_is_that_of_one_machine(document: Path) -> None:
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        assert not re.search(r"(^|[\s`(\"])/(?!v1/)[A-Za-z]\w*/", line), f"line {number}: {line}"
