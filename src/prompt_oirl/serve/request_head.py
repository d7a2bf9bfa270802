"""uvicorn's HTTP protocol with limits on what is read before anybody is asked for a token."""

from __future__ import annotations

from asyncio import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LimitedHeadProtocol"]

_MOST_BYTES = 128 * 2**10
"""Of request line and headers, or of trailers; what one read from the connection brings counts as a whole."""

_SECONDS = 10.0
"""For a head to arrive, and for the rest of a request that has its answer already."""

_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class LimitedHeadProtocol(HttpToolsProtocol):
    """Ends a connection whose request has a head, or trailers, that do not end; what trailers say is dropped."""

    _n_bytes = 0
    """Since a head was complete, a part of a body came, or a request ended."""

    _is_in_head = True
    """Or before it; not in a body or in trailers."""

    _has_advanced = False
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: object) -> None:
        """Wait for the first request, for a while."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._begin_to_wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._end_to_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and refuse the request if there is too much of it before its body or after."""
        if self.transport.is_closing():
            return
        self._has_advanced = False
        super().data_received(data)
        self._n_bytes = 0 if self._has_advanced else self._n_bytes + len(data)
        if self._n_bytes > _MOST_BYTES:
            self._refuse()
        elif self._is_in_head and self._is_idle and self.timeout_keep_alive_task is None:
            self._begin_to_wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes after the body could pass for one that was checked."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        self._end_to_wait()
        self._is_in_head, self._has_advanced = False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._has_advanced = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Go on to the next request."""
        self._end_to_wait()
        self._is_in_head, self._has_advanced = True, True
        super().on_message_complete()
        if self._is_idle:  # the answer was there first, and what came since has ended uvicorn's own timer
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Wait for the rest of the request if it was answered before it ended."""
        super().on_response_complete()
        if not self._is_in_head and self._is_idle and not self.transport.is_closing():
            self._begin_to_wait()

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is to be answered."""
        return self.cycle is None or self.cycle.response_complete

    def _begin_to_wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(_SECONDS, self.transport.close)

    def _end_to_wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        """End the connection, with a reason unless another answer is due or begun."""
        if self.transport.is_closing():
            return
        if self._is_idle if self._is_in_head else not self.cycle.response_started:
            self.transport.write(_REFUSAL)
        self.transport.close()
