"""What an operator may decide."""

from __future__ import annotations

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.serve.settings import ServeSettings

TOKEN = "planted-token-84"


@pytest.mark.parametrize("token", [TOKEN, TOKEN + "øé", "0" * 64])
def test_a_long_token_is_taken(token: str) -> None:
    assert ServeSettings(token=token).token == token


@pytest.mark.parametrize(
    "token",
    [
        "a",
        TOKEN[:-1],
        " " * 20,
        TOKEN + "\n",
        f" {TOKEN}",
        f"{TOKEN} {TOKEN}",
        f"{TOKEN}\t",
        f"{TOKEN}\xa0",
        f"{TOKEN}\udcff",
    ],
)
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ParameterError, match=r"fewer than 16 characters.*PROMPT_OIRL_SERVE_TOKEN") as raised:
        ServeSettings(token=token)
    assert "planted" not in str(raised.value)


@pytest.mark.parametrize("token", [None, ""])
def test_none_is_needed_on_this_machine(token: str | None) -> None:
    assert ServeSettings(token=token).is_loopback
    with pytest.raises(ParameterError, match="no token is set"):
        ServeSettings(token=token, host="0.0.0.0")
