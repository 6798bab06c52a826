"""Proxy between a client and an engine, which records every request and can be cut."""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import BinaryIO, Self

from tests.scripted.server import UnixServer
from tests.scripted.wire import read_headers

_CHUNK_BYTES = 1 << 16


class RecordingProxy:
    """Passes on bytes between a unix socket and an engine's, both ways.

    ``requests`` has the method and the target (path with version and query) of each request, in order.
    """

    def __init__(self, engine: Path) -> None:
        """Set the socket of the engine."""
        self.requests: list[tuple[str, str]] = []
        self._engine = engine
        # The directory of a test can be too deep for a socket.
        self._directory = tempfile.TemporaryDirectory(prefix="recorded-")
        self._server: UnixServer | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        try:
            self.cut()
        finally:
            self._directory.cleanup()

    @property
    def socket_path(self) -> Path:
        """Unix socket on which it listens."""
        return Path(self._directory.name, "engine.sock")

    @property
    def url(self) -> str:
        """The unix socket, as a Docker host."""
        return f"unix://{self.socket_path}"

    def start(self) -> None:
        """Listen; after `cut()` on the same socket."""
        self._server = UnixServer(self.socket_path, self._serve)

    def cut(self) -> None:
        """Close all connections, and accept none until `start()`."""
        server, self._server = self._server, None
        if server is not None:
            self.socket_path.unlink()
            server.stop()

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection until either side closes it."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(self._engine))
            answers = Thread(target=_pass_on, args=(engine, client), name="answers")
            answers.start()
            try:
                with client.makefile("rb") as reader:
                    while request := self._recorded(reader):
                        engine.sendall(request)
            finally:
                _hang_up(engine)
                answers.join()

    def _recorded(self, reader: BinaryIO) -> bytes:
        """Record the next request; return its bytes, none if the client has closed."""
        first = reader.readline()
        if not first:
            return b""
        method, target, _ = first.decode("latin-1").split(" ")
        self.requests.append((method, target))
        headers = _header_lines(reader)
        length = int(read_headers(BytesIO(headers)).get("content-length", "0"))
        return first + headers + reader.read(length)


def _header_lines(reader: BinaryIO) -> bytes:
    """Return the bytes of a request's headers, with the empty line that ends them."""
    lines = []
    while line := reader.readline():
        lines.append(line)
        if not line.strip():
            break
    return b"".join(lines)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Send what comes from a socket to another until one of them ends; then end the other."""
    with suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            target.sendall(data)
    _hang_up(target)


def _hang_up(connection: socket.socket) -> None:
    # The other side may have been faster.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
