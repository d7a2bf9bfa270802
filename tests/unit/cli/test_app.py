"""The application: names, help texts, version, and how errors end."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from prompt_oirl.cli import main
from prompt_oirl.cli.app import app
from prompt_oirl.errors import DataError
from prompt_oirl.reproduction.runner import TABLES

COMMANDS = ("demo", "inspect", "train", "evaluate", "recommend", "reproduce", "download")


def run_main(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["prompt-oirl", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def raising(error: BaseException) -> object:
    def command(*_: object, **__: object) -> None:
        raise error

    return command


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command_whole_in_80_columns(arguments: list[str]) -> None:
    shown = CliRunner().invoke(app, arguments).output
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S.*\.$", shown, re.MULTILINE), command
    assert "..." not in shown.partition("Commands:")[2]
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"Example: prompt-oirl {command}" in " ".join(shown.output.split())
    assert "\x1b" not in shown.output


@pytest.mark.parametrize("command", ["demo", "inspect", "train", "evaluate", "recommend", "reproduce"])
def test_json_is_an_option_wherever_there_is_output(command: str) -> None:
    assert "--json" in CliRunner().invoke(app, [command, "--help"]).output


def test_version() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"prompt-oirl {version('prompt-oirl')}\n")


def test_a_wrong_call_is_exit_code_2_with_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main("train", monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: prompt-oirl train")


SEEDED = ("collect", "demo", "evaluate", "inspect", "report", "reproduce", "train")


def test_no_other_command_draws_at_random() -> None:
    names = [command.name or "" for command in app.registered_commands]
    drawing = [name for name in names if "--seed" in CliRunner().invoke(app, [name, "--help"]).output]
    assert sorted(drawing) == sorted(SEEDED)


@pytest.mark.parametrize("command", SEEDED)
@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_a_seed_that_is_none_is_a_wrong_call_that_names_the_option(command: str, seed: str) -> None:
    ended = CliRunner().invoke(app, [command, "--seed", seed])
    assert ended.exit_code == 2
    assert "Invalid value for '--seed'" in ended.output


def test_evaluate_says_what_decisions_need() -> None:
    arguments = CliRunner().invoke(app, ["evaluate", "--help"]).output.split("Options:")[0]
    assert "propensity" in arguments


def test_reproduce_names_its_tables() -> None:
    shown = " ".join(CliRunner().invoke(app, ["reproduce", "--help"]).output.split())
    assert f"Tables: {', '.join(TABLES)}." in shown


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("x.csv, row 3: [odd]\n  value"), "error: x.csv, row 3: [odd] value\n"),
        (PermissionError(13, "Permission denied", "/r/out"), "error: /r/out: Permission denied; name another path"),
        (OSError("no space"), "error: a file: no space; name another path"),
    ],
)
def test_expected_errors_end_with_one_line_and_code_1(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prompt_oirl.testing.demo.run_demo", raising(error))
    assert run_main("demo", monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(line)
    assert printed.err.count("\n") == 1


def test_a_defect_of_the_package_is_not_dressed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompt_oirl.testing.demo.run_demo", raising(ZeroDivisionError("a defect")))
    monkeypatch.setattr(sys, "argv", ["prompt-oirl", "demo"])
    with pytest.raises(ZeroDivisionError, match="a defect"):
        main()


def test_an_interrupt_says_that_finished_parts_are_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prompt_oirl.testing.demo.run_demo", raising(KeyboardInterrupt()))
    assert run_main("demo", monkeypatch=monkeypatch) == 130
    assert capsys.readouterr().err == "stopped; what was saved before is kept\n"
