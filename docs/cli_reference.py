"""The command-line reference, made of what the commands declare.

`--help` shows the same texts, but its layout differs between versions of typer; a page made of the declarations is the
same with all of them, and so can be compared with the file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from prompt_oirl.cli.app import app

__all__ = ["render_cli"]

_KINDS = {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}
_INTRODUCTION = """# Command line

Every command prints tables for people, or JSON for programs with `--json`. Results go to standard output, progress and
errors to standard error. An expected error is one line that names the file, the row, the value and the way out; the
exit code is then 1. `prompt-oirl COMMAND --help` shows what is below. This page is generated from the commands.
"""


def render_cli() -> str:
    """Return the page of all commands."""
    whole = app.registered_callback
    options = ["## `prompt-oirl`", "", *(_table(whole.callback) if whole and whole.callback else [])]
    commands = [_section(each.name or "", each.callback) for each in app.registered_commands if each.callback]
    return "\n\n".join([_INTRODUCTION.strip(), "\n".join(options), *commands]) + "\n"


def _section(name: str, command: Callable[..., Any]) -> str:
    text = inspect.getdoc(command) or ""
    arguments = [_metavar(parameter, kind) for parameter, kind, info in _parameters(command) if _is_argument(info)]
    body, *examples = text.split("Example: ")
    usage = " ".join(["prompt-oirl", name, "[OPTIONS]", *arguments])
    lines = [f"## `prompt-oirl {name}`", "", f"`{usage}`", "", body.strip(), ""]
    lines += ["```bash", *(each.strip() for each in examples), "```", ""] if examples else []
    return "\n".join([*lines, *_table(command)])


def _table(command: Callable[..., Any]) -> list[str]:
    rows = [_row(parameter, kind, info) for parameter, kind, info in _parameters(command)]
    return ["| argument or option | what it is | if not given |", "|---|---|---|", *rows]


def _parameters(command: Callable[..., Any]) -> Iterator[tuple[inspect.Parameter, Any, ArgumentInfo | OptionInfo]]:
    """Yield each parameter with its type and what was declared of it."""
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = get_args(hints[name])
        yield parameter, _without_none(kind), info


def _without_none(kind: Any) -> Any:
    """Return what an option takes if it is given: the X of `X | None`."""
    if get_origin(kind) not in (UnionType, Union):
        return kind
    return next(each for each in get_args(kind) if each is not type(None))


def _is_argument(info: ArgumentInfo | OptionInfo) -> bool:
    return isinstance(info, ArgumentInfo)


def _metavar(parameter: inspect.Parameter, kind: Any) -> str:
    return parameter.name.upper() + ("..." if get_origin(kind) is list else "")


def _row(parameter: inspect.Parameter, kind: Any, info: ArgumentInfo | OptionInfo) -> str:
    if _is_argument(info):
        name = f"`{_metavar(parameter, kind)}`"
    else:
        value = "" if kind is bool else f" {_value_name(kind)}"
        # Within Annotated, typer keeps the first name given as the default.
        name = f"`{', '.join([str(info.default), *(info.param_decls or ())])}{value}`"
    help_text = (info.help or "").replace("|", "\\|")
    return f"| {name} | {help_text} | {_default(parameter.default)} |"


def _value_name(kind: Any) -> str:
    """Return what stands for a value: `list[X]` takes an X, an enumeration one of its values."""
    if get_origin(kind) is list:
        return _value_name(get_args(kind)[0])
    return "\\|".join(each.value for each in kind) if issubclass(kind, Enum) else _KINDS[kind]


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "needed"
    return "" if value is None or value is False else f"`{value}`"
