"""What an upstream's error says is read whatever way it was encoded, or not at all."""

from __future__ import annotations

import gzip
import zlib

import pytest

from prompt_oirl.serve.gateway.error_body import decoded

TEXT = b'{"error": {"message": "no such model"}}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(TEXT, ""), (TEXT, "identity"), (gzip.compress(TEXT), " GZIP"), (zlib.compress(TEXT), "deflate")],
    ids=["none", "identity", "gzip", "deflate"],
)
def test_what_can_be_read(body: bytes, encoding: str) -> None:
    assert decoded(body, encoding) == TEXT


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (TEXT, "br"),
        (TEXT, "gzip"),
        (gzip.compress(TEXT), "identity,gzip"),
        (gzip.compress(TEXT)[:-9], "gzip"),
        (gzip.compress(TEXT) * 2, "gzip"),
        (gzip.compress(bytes(2**24)), "gzip"),
    ],
    ids=["unknown", "is none", "several", "cut off", "more than one", "far too long"],
)
def test_what_cannot(body: bytes, encoding: str) -> None:
    assert decoded(body, encoding) is None
