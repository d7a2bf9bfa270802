"""The upstream is fixed when the service starts."""

from __future__ import annotations

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.serve.gateway.upstream import Upstream
from prompt_oirl.serve.settings import ServeSettings

ADDRESS = "http://127.0.0.1:1/v1"


def test_there_has_to_be_one() -> None:
    with pytest.raises(ParameterError, match="address of a server"):
        Upstream(ServeSettings())


@pytest.mark.parametrize("key", ["", "sk a", "sk\n", "sk\r\nx-a: 1", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ParameterError, match="the upstream's key is empty, or has a space") as raised:
        Upstream(ServeSettings(upstream=ADDRESS, upstream_key=key))
    assert not key or key not in str(raised.value)


def test_it_has_to_be_open() -> None:
    with pytest.raises(ParameterError, match="not open"):
        Upstream(ServeSettings(upstream=ADDRESS)).ask("GET", "/models", ())


async def test_it_can_be_opened_again() -> None:
    upstream = Upstream(ServeSettings(upstream=ADDRESS))
    for _ in range(2):
        async with upstream as opened:
            assert opened is upstream


def test_secrets_are_in_no_repr() -> None:
    settings = ServeSettings(upstream=ADDRESS, upstream_key="sk-planted", token="token-planted-5c")
    assert "planted" not in f"{settings!r} {Upstream(settings)!r}"


def test_it_knows_its_own_key_in_an_answer() -> None:
    upstream = Upstream(ServeSettings(upstream=ADDRESS, upstream_key='sk/a"b'))
    assert upstream.reveals(b'no such key: sk/a"b!')
    assert upstream.reveals(rb'{"error": "no such key: sk\/a\"b"}')
    assert not upstream.reveals(b"no such key: sk/a...")
    assert not Upstream(ServeSettings(upstream=ADDRESS)).reveals(b"no such key")
