"""From the options of `serve` to a service: where decisions go, what comes from the environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from prompt_oirl.cli.serving import Secrets, is_playground_wanted, store_url
from prompt_oirl.errors import MissingDependencyError, ParameterError

SECRET = "postgresql://user:planted-password@host/database"


def test_by_default_the_store_is_a_file_beside_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = str(tmp_path / "recommender-decisions.sqlite")
    folder = tmp_path / "recommender"
    folder.mkdir()
    assert store_url(folder, None, None).database == beside
    monkeypatch.chdir(tmp_path)
    assert store_url(Path("recommender"), None, None).database == beside
    assert store_url(Path("recommender/"), None, None).database == beside
    monkeypatch.chdir(folder)
    assert store_url(Path(), None, None).database == beside


def test_it_is_beside_the_link_where_the_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "versions" / "7").mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "versions" / "7")
    assert store_url(tmp_path / "current", None, None).database == str(tmp_path / "current-decisions.sqlite")


def test_the_store_may_be_a_file_or_an_address(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "decisions.sqlite"
    assert store_url(tmp_path / "recommender", str(file), SECRET).database == str(file)
    assert store_url(tmp_path / "recommender", f"sqlite:///{file}", None).database == str(file)
    given = store_url(tmp_path / "recommender", "postgresql://user@host/database", None)
    assert (given.get_backend_name(), given.host) == ("postgresql", "host")


def test_a_password_comes_from_the_environment_only(tmp_path: Path) -> None:
    assert store_url(tmp_path / "recommender", None, SECRET).password == "planted-password"
    with pytest.raises(ParameterError, match=r"PROMPT_OIRL_STORE") as raised:
        store_url(tmp_path / "recommender", SECRET, None)
    assert "planted" not in str(raised.value)


@pytest.mark.parametrize("name", ["decisions.sqlite", "below/decisions.sqlite", "../recommender/decisions.sqlite"])
def test_a_store_inside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "recommender"
    (folder / "below").mkdir(parents=True)
    address, errors = f"sqlite:///{folder / name}", set()
    for given, of_environment in ((str(folder / name), None), (address, None), (None, address)):
        with pytest.raises(ParameterError, match="is inside") as raised:
            store_url(folder, given, of_environment)
        errors.add(str(raised.value))
    assert len(errors) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("decisions.sqlite", r"^\$PROMPT_OIRL_STORE is no address; write .* sqlite:///path/of/store\.sqlite for"),
        ("planted-password", r"^\$PROMPT_OIRL_STORE is no address"),
        ("mysql://user:planted-password@host/database", r"^\$PROMPT_OIRL_STORE: .*starts with mysql://"),
        ("postgresql://user:planted-password@host:port/database", r"^\$PROMPT_OIRL_STORE: .*cannot be read"),
    ],
)
def test_what_is_no_address_in_the_environment_is_said_and_not_repeated(tmp_path: Path, value: str, said: str) -> None:
    with pytest.raises(ParameterError, match=said) as raised:
        store_url(tmp_path / "recommender", None, value)
    assert "planted" not in str(raised.value)


def test_secrets_are_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPT_OIRL_SERVE_TOKEN", "planted-token")
    monkeypatch.setenv("PROMPT_OIRL_UPSTREAM_KEY", "")
    monkeypatch.setenv("PROMPT_OIRL_STORE", SECRET)
    secrets = Secrets.of_environment()
    assert (secrets.token, secrets.upstream_key, secrets.store) == ("planted-token", None, SECRET)
    assert "planted" not in repr(secrets)


def test_the_playground_is_on_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_playground_wanted(False) is False
    monkeypatch.setitem(sys.modules, "prompt_oirl.serve.playground.page", None)
    assert is_playground_wanted(None) is False
    with pytest.raises(MissingDependencyError, match=r"prompt-oirl\[playground\]"):
        is_playground_wanted(True)
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(MissingDependencyError, match=r"'orjson'.*prompt-oirl\[serve\]"):
        is_playground_wanted(False)
