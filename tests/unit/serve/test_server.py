"""Taking a port; the rest of the server is tested as a process."""

from __future__ import annotations

import socket

import pytest

from prompt_oirl.errors import ParameterError
from prompt_oirl.serve.server import _address, listen


def test_any_free_port_is_taken_and_its_address_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert _address(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConnectionRefusedError):  # until the service runs
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_addresses_of_version_6_are_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except ParameterError:
        pytest.skip("there is no IPv6 here")
    with listener:
        assert _address(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ParameterError, match=rf"127\.0\.0\.1:{port} .*in use.*--port"):
            listen("127.0.0.1", port)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(ParameterError, match=r"192\.0\.2\.1:0 cannot be listened at"):
        listen("192.0.2.1", 0)


def test_a_host_that_is_none_is_named() -> None:
    with pytest.raises(ParameterError, match=r"host='no host'"):
        listen("no host", 0)
