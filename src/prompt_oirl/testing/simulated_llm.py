"""An LLM that is none: a server on loopback that speaks OpenAI's protocol, for tests, the demo and benchmarks."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from prompt_oirl.errors import LLMError, ParameterError
from prompt_oirl.records import Message
from prompt_oirl.testing.llm_answerers import Answerer, CallableAnswerer
from prompt_oirl.testing.llm_counts import Counts
from prompt_oirl.testing.llm_faults import Faults

__all__ = ["SimulatedLLM"]

_HOST = "127.0.0.1"
_SECONDS_TO_START = 30.0
_SECONDS_TO_STOP = 1.0


class SimulatedLLM:
    """Serves `POST /v1/chat/completions`, `GET /v1/models` and `GET /health` from a thread while its context is open.

    ```python
    with SimulatedLLM([WorldAnswerer(SyntheticWorld())], faults=Faults(rate_limited=0.2)) as llm:
        client = openai.OpenAI(base_url=llm.base_url, api_key="none")
    ```

    Leaving the context drops what is under way, as a crash would. Opened again it has the same address and goes on
    counting.

    Args:
        answerers: Tried in order; a function of the messages is one too. The first answer that is not None is sent.
            Where all are None the request is refused with 400.
        faults: What goes wrong; can be replaced while the server runs.
        model: The one model there is; another is refused with 404.
        key: If given, requests with another are refused with 401, which repeats the key that was sent.
        port: 0 for one that is free when the context is first opened.

    Raises:
        ParameterError: There is no answerer.
    """

    def __init__(
        self,
        answerers: Sequence[Answerer | Callable[[Sequence[Message]], str | None]],
        *,
        faults: Faults = Faults(),  # noqa: B008
        model: str = "simulated-llm",
        key: str | None = None,
        port: int = 0,
    ) -> None:
        from prompt_oirl.testing.chat_endpoint import ChatEndpoint

        if not answerers:
            raise ParameterError("answerers is empty: at least one is needed, such as WorldAnswerer(SyntheticWorld())")
        callables = [each if isinstance(each, Answerer) else CallableAnswerer(each) for each in answerers]
        self.model = model
        self.port = port
        self._endpoint = ChatEndpoint(callables, faults=faults, model=model, key=key)

    @property
    def base_url(self) -> str:
        """The address that a client is given, such as `http://127.0.0.1:43210/v1`."""
        return f"http://{_HOST}:{self.port}/v1"

    @property
    def faults(self) -> Faults:
        """What goes wrong from now on; replace it to change a share."""
        return self._endpoint.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._endpoint.faults = faults

    @property
    def counts(self) -> Counts:
        """All counts as they are now."""
        return self._endpoint.counts.copy()

    @property
    def requests(self) -> int:
        """Requests that arrived."""
        return self._endpoint.counts.requests

    @property
    def by_status(self) -> Counter[int]:
        """Requests by the status that was sent."""
        return self.counts.by_status

    @property
    def most_in_flight(self) -> int:
        """Most requests that were being answered at once."""
        return self._endpoint.counts.most_in_flight

    def __enter__(self) -> Self:
        import uvicorn

        listener = self._listen()
        config = uvicorn.Config(
            self._endpoint.application(),
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level="critical",  # or every truncated body is logged as a mistake of the application
            timeout_keep_alive=60,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(listener),), name=self.model, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise LLMError(f"the simulated LLM did not start at {self.base_url} in {_SECONDS_TO_START:g} s")
            time.sleep(0.002)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()

    def _listen(self) -> socket.socket:
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's delay on
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, self.port))
        except (OSError, OverflowError) as error:
            listener.close()
            raise ParameterError(f"port={self.port}: {error}; name another, or 0 for one that is free") from error
        self.port = listener.getsockname()[1]
        return listener

    async def _serve(self, listener: socket.socket) -> None:
        await self._server.serve(sockets=[listener])
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=_SECONDS_TO_STOP)
