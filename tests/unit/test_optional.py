from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.errors import MissingDependencyError, PromptOIRLError
from prompt_oirl.optional import import_optional


def test_what_is_installed_is_returned() -> None:
    assert import_optional("json", extra="plots") is json


def test_what_is_missing_comes_with_the_way_to_install_it() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        import_optional("no_such_package.part", extra="plots")
    message = str(caught.value)
    assert "'no_such_package.part' is not installed" in message
    assert "pip install 'prompt-oirl[plots]'" in message
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, PromptOIRLError)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_error_inside_the_package_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('broken inside')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="broken inside"):
        import_optional("broken_package", extra="plots")


def test_a_package_that_lacks_a_package_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package_in_need.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package") as caught:
        import_optional("package_in_need", extra="plots")
    assert not isinstance(caught.value, MissingDependencyError)
