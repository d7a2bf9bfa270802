"""Every public name says what it is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

import prompt_oirl


def members(name: str) -> Iterator[tuple[str, object]]:
    """The name itself, and the public methods and properties that its own classes define."""
    value = getattr(prompt_oirl, name)
    yield name, value
    if not inspect.isclass(value):
        return
    for each in value.__mro__:
        if each.__module__.startswith("prompt_oirl"):
            for attribute, member in vars(each).items():
                if not attribute.startswith("_") and (callable(member) or isinstance(member, property | classmethod)):
                    yield f"{name}.{attribute}", member


@pytest.mark.parametrize("name", prompt_oirl.__all__)
def test_public_names_are_documented(name: str) -> None:
    for path, member in members(name):
        text = inspect.getdoc(member)
        assert text, f"{path} has no docstring"
        summary = text.splitlines()[0]
        assert summary.endswith((".", ":")), f"{path}: {summary!r} is no sentence"
