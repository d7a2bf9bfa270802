"""The names that users import, and that importing them does no work."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prompt_oirl

HEAVY = ("numpy", "scipy", "sklearn", "lightgbm", "xgboost", "pyarrow", "pooch", "matplotlib", "typer", "rich", "yaml")


@pytest.mark.parametrize("module", ["prompt_oirl", "prompt_oirl.cli", "prompt_oirl.errors"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_the_command_says_what_it_can_without_numerics() -> None:
    code = f"import sys, prompt_oirl.cli.app; print(*[name for name in {HEAVY[:8]} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_all_is_sorted_and_without_repeats() -> None:
    assert prompt_oirl.__all__ == sorted(set(prompt_oirl.__all__))


@pytest.mark.parametrize("name", prompt_oirl.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(prompt_oirl, name)
    assert value is getattr(prompt_oirl, name)
    assert value.__name__ == name
    assert value.__doc__
    assert value.__module__.startswith("prompt_oirl.")


def test_dir_names_all_of_them_before_they_are_used() -> None:
    code = "import prompt_oirl; print(set(prompt_oirl.__all__) <= set(dir(prompt_oirl)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="Recomender"):
        prompt_oirl.Recomender  # noqa: B018


def test_a_star_import_gives_all_of_them() -> None:
    names: dict[str, object] = {}
    exec("from prompt_oirl import *", names)
    assert set(prompt_oirl.__all__) <= set(names)
