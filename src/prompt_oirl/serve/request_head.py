"""uvicorn's HTTP protocol with a limit on the head of a request, which is read before anybody is asked for a token."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LimitedHeadProtocol"]

_MOST_BYTES = 128 * 2**10
"""Of request line and headers; what one read from the connection brings counts as a whole."""

_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class LimitedHeadProtocol(HttpToolsProtocol):
    """Ends a connection whose request has a head that does not end."""

    _n_bytes = 0
    _is_in_head = False

    def data_received(self, data: bytes) -> None:
        """Take what came, and refuse the request if its head is still not complete."""
        super().data_received(data)
        if not self._is_in_head:
            return
        self._n_bytes += len(data)
        if self._n_bytes > _MOST_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._n_bytes, self._is_in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End to count."""
        self._is_in_head = False
        super().on_headers_complete()
