"""Event stream of a Docker Engine, read line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from httptools import HttpParserError

from exporter.sources.docker.api.connection import EngineConnection
from exporter.sources.docker.api.failures import explain
from exporter.sources.docker.engine import EngineError, Event

MAX_LINE_BYTES = 16 << 20


class DockerEventStream:
    """Answer to ``/events`` over a connection of its own, which another thread can close."""

    def __init__(
        self,
        connection: EngineConnection,
        parse: Callable[[bytes], Event],
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        # That headers came, has been waited for.
        connection.lift_timeout()
        self._connection = connection
        self._parse = parse
        self._max_line_bytes = max_line_bytes

    def __iter__(self) -> Iterator[list[Event]]:
        try:
            for lines in _lines(iter(self._read_part, b""), self._max_line_bytes):
                yield [self._parse(line) for line in lines]
        except HttpParserError as error:
            raise EngineError(f"the event stream broke: {explain(error)}") from error

    def close(self) -> None:
        """Close the stream; the reading thread then stops."""
        self._connection.close()

    def _read_part(self) -> bytes:
        """Return the next part; nothing once either side has closed the connection, in order or not."""
        try:
            return self._connection.read_part()
        except (OSError, EOFError):
            return b""


def _lines(parts: Iterable[bytes], max_bytes: int) -> Iterator[list[bytes]]:
    """Yield the lines that each part ends, however the engine or a proxy splits them.

    Raises EngineError beyond the limit.
    """
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        if lines := [line for line in whole if line.strip()]:
            yield lines
        if len(rest) > max_bytes:
            raise EngineError(f"a line of more than {max_bytes} bytes; is this a Docker Engine?")
