"""What every test shares: where the real logs are, and a network that ends at loopback."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the released logs, or a skip that says how to get it."""
    folder = Path(os.environ.get("PROMPT_OIRL_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "prompt-oirl").is_dir():
        pytest.skip(f"the released logs are not at {folder}: set PROMPT_OIRL_DATA, or run `prompt-oirl download`")
    return folder


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test tried to reach {address}; tests stay on loopback")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
