from __future__ import annotations

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.stores.store_url import named_store, parse_store_url, redacted, without_password


@pytest.mark.parametrize(
    "written",
    [
        "postgresql://me@host:5432/runs",
        "postgresql:///runs?host=/run/postgresql",
        "postgresql://host/runs?options=-csearch_path%3Dfirst",
        "postgresql://m%40e@host/runs",
    ],
)
def test_an_address_is_shown_so_that_it_can_be_read_again(written: str) -> None:
    url = parse_store_url(written)
    shown = without_password(url.set(password="hidden"))
    assert "hidden" not in shown
    assert parse_store_url(shown) == url


def test_a_short_form_of_the_address_is_understood() -> None:
    assert parse_store_url("postgres://me@host/runs") == parse_store_url("postgresql+psycopg://me@host/runs")


def test_a_password_is_taken_out_of_any_text() -> None:
    url = parse_store_url("postgresql://me:hidden@host/runs")
    assert redacted("cannot use hidden as a password", url) == "cannot use *** as a password"
    assert redacted("hidden", parse_store_url("postgresql://me@host/runs")) == "hidden"


def test_an_argument_names_a_file_or_an_address() -> None:
    assert named_store("below/store.sqlite") == parse_store_url("sqlite:///below/store.sqlite")
    assert named_store("postgresql://me@host/runs") == parse_store_url("postgresql://me@host/runs")


@pytest.mark.parametrize("argument", ["postgresql://me:hidden@host/runs", "postgresql://me@host/runs?password=hidden"])
def test_an_argument_with_a_password_is_refused_and_not_repeated(argument: str) -> None:
    with pytest.raises(ParameterError, match=r"me@host/runs was given with a password.*\$PROMPT_OIRL_STORE") as caught:
        named_store(argument)
    assert "hidden" not in str(caught.value)
