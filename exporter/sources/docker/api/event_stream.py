"""Event stream of a Docker Engine, read line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import requests
from docker.errors import DockerException
from docker.types import CancellableStream

from exporter.sources.docker.api.failures import explain, failures
from exporter.sources.docker.engine import EngineError, Event

MAX_LINE_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
# urllib3 raises these when another thread closes the connection during a read.
_CLOSED = (AttributeError, ValueError)


class DockerEventStream:
    """Response to ``/events``, in the SDK's cancellable stream, which another thread can close."""

    def __init__(
        self,
        response: requests.Response,
        parse: Callable[[bytes], Event],
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._response = response
        self._parse = parse
        self._max_line_bytes = max_line_bytes
        _lift_timeout(response)
        chunks = response.raw.stream(_CHUNK_BYTES, decode_content=False)
        self._chunks = CancellableStream(chunks, response)

    def __iter__(self) -> Iterator[Event]:
        try:
            for line in _lines(self._chunks, self._max_line_bytes):
                yield self._parse(line)
        except failures() + _CLOSED as error:
            raise EngineError(f"the event stream broke: {explain(error)}") from error

    def close(self) -> None:
        """Close the stream; the reading thread then stops."""
        # A stream that has just ended has no socket any more, which raises AttributeError.
        with suppress(*failures(), AttributeError):
            try:
                self._chunks.close()
            except DockerException:
                # The SDK cannot cancel a paramiko channel; closing the channel is enough.
                channel: Any = self._response.raw.connection
                channel.sock.close()


def _lift_timeout(response: requests.Response) -> None:
    """Let the stream be silent for as long as nothing happens: that headers came, has been waited for."""
    raw: Any = response.raw
    # The connection of an answer that ends with it has given up its socket.
    sock = raw.connection.sock or raw._fp.fp.raw._sock  # noqa: SLF001  # as the SDK does
    sock.settimeout(None)


def _lines(chunks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield whole lines, however the engine or a proxy splits them. Raises EngineError beyond the limit."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > max_bytes:
            raise EngineError(f"a line of more than {max_bytes} bytes; is this a Docker Engine?")
