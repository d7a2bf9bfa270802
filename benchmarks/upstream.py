"""An upstream that costs next to nothing, as a process of its own: `python benchmarks/upstream.py --latency 0.02`.

It answers every request with the same chat completion, whole or as a stream, after a fixed time. It reads no more of a
request than it must, so that what is measured in front of it is the gateway. Writes its address when it is ready, and
ends when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import cast

import uvloop

_WORDS = ("She", " earned", " 10", " dollars.")
_SAME = {"id": "chatcmpl-1", "created": 1, "model": "fixed"}


def _whole() -> bytes:
    message = {"role": "assistant", "content": "".join(_WORDS)}
    body = {
        **_SAME,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 4, "total_tokens": 44},
    }
    content = json.dumps(body).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
    return head + content


def _event(word: str) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
    content = json.dumps({**_SAME, "object": "chat.completion.chunk", "choices": [choice]}).encode()
    return b"data: %b\n\n" % content


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


WHOLE = _whole()
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PARTS = (
    *(_chunk(_event(word)) for word in _WORDS[:-1]),
    _chunk(_event(_WORDS[-1]) + b"data: [DONE]\n\n") + b"0\r\n\r\n",
)


class Answers(asyncio.Protocol):
    """One connection of a client that sends its next request when it has the answer to the last."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._received = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._received = b""
        if b'"stream":true' in body or b'"stream": true' in body:
            self._stream()
        else:
            self._after(self._latency, WHOLE)

    def _stream(self) -> None:
        """Send the parts evenly over the time."""
        for number, part in enumerate(PARTS, start=1):
            self._after(self._latency * number / len(PARTS), HEAD + part if number == 1 else part)

    def _after(self, seconds: float, content: bytes) -> None:
        if seconds:
            self._loop.call_later(seconds, self._transport.write, content)
        else:
            self._transport.write(content)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answers(latency), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that an answer takes")
    uvloop.run(serve(parser.parse_args().latency))


if __name__ == "__main__":
    main()
