"""One container's log as it is written: `GET /containers/{id}/logs?follow=1` on a connection of its own.

asyncio and h11 in place of the SDK's client, so that hundreds of logs are followed by one thread.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import h11

from exporter.errors import message_of
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.scalars import format_time, parse_time
from exporter.sources.docker.api.ssh import ssh_command
from exporter.sources.docker.engine import EngineError, LogRefusedError

_CHUNK_BYTES = 1 << 16
# Longer lines are cut: a runner's own are a few hundred bytes.
MAX_LINE_BYTES = 1 << 14
# Engines send at most 16 KiB in a frame.
MAX_FRAME_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
_OK = 200
_FRAME_HEADER = 8
_STREAM_IDS = frozenset({0, 1, 2})


class _Writer(Protocol):
    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def close(self) -> None: ...


async def read_log(
    address: EngineAddress, container_id: str, since_ns: int
) -> AsyncGenerator[tuple[int, str], None]:
    """Yield the lines of a container's standard output since a time, with the engine's time of each.

    Ends with the log, which is when the container ends. Raises LogRefusedError if the engine does not give
    the log, EngineError if the connection fails.
    """
    query = {"follow": 1, "stdout": 1, "timestamps": 1, "since": format_time(since_ns)}
    # Without a version: any engine has this request, and the latest is what its own client would use.
    target = f"/containers/{container_id}/logs?{urlencode(query)}"
    try:
        async with _connect(address) as (reader, writer):
            lines = LineBuffer()
            async for data in _body(reader, writer, target):
                for line in lines.feed(data):
                    time, _, text = line.decode(errors="replace").partition(" ")
                    yield _time(time), text
            if lines.has_rest:
                raise EngineError(f"log of {container_id[:12]}: it ends in the middle of a line")
    except (TimeoutError, OSError, h11.ProtocolError) as error:
        raise EngineError(f"log of {container_id[:12]}: {message_of(error)}") from error


def _time(text: str) -> int:
    """Return the time of a line in nanoseconds; 0 for a piece of a long line, which has none."""
    try:
        return parse_time(text) or 0
    except ValueError:
        return 0


@asynccontextmanager
async def _connect(address: EngineAddress) -> AsyncIterator[tuple[asyncio.StreamReader, _Writer]]:
    """Open a connection to the engine, and close it at the end."""
    url = urlsplit(address.url)
    if url.scheme == "ssh":
        process = await asyncio.create_subprocess_exec(
            *ssh_command(address.url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise EngineError("ssh: no pipes")
        try:
            yield process.stdout, process.stdin
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        return
    opening = (
        asyncio.open_unix_connection(url.path)
        if url.scheme in {"unix", "http+unix"}
        else asyncio.open_connection(url.hostname, url.port or 2375, ssl=_tls_context(address))
    )
    reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
    try:
        yield reader, writer
    finally:
        writer.close()


def _tls_context(address: EngineAddress) -> ssl.SSLContext | None:
    if address.tls is None:
        return None
    context = ssl.create_default_context(cafile=address.tls.ca_cert)
    if not address.tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if address.tls.cert:
        context.load_cert_chain(*address.tls.cert)
    return context


async def _body(reader: asyncio.StreamReader, writer: _Writer, target: str) -> AsyncIterator[bytes]:
    """Send a GET and yield what its answer's body carries, without the engine's frames."""
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=target, headers=[("Host", "docker"), ("Connection", "close")])
    writer.write(connection.send(request) + connection.send(h11.EndOfMessage()))
    await writer.drain()
    unframe: Callable[[bytes], bytes] = FrameDecoder().feed
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            case h11.Response(status_code=status) if status != _OK:
                raise LogRefusedError(f"{target.partition('?')[0]}: HTTP {status}")
            case h11.Data(data=data):
                yield unframe(bytes(data))
            case h11.EndOfMessage():
                return
            case h11.ConnectionClosed():
                raise EngineError(f"{target.partition('?')[0]}: the connection was closed")


class FrameDecoder:
    """Removes the frames of a log: stream number, three zeros, length. A terminal's log has none."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_framed: bool | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the data carries; a frame that is not whole yet waits for its rest."""
        if self._is_framed is False:
            return data
        self._rest += data
        content = b""
        while len(self._rest) >= _FRAME_HEADER:
            if self._is_framed is None:
                self._is_framed = self._rest[0] in _STREAM_IDS and self._rest[1:4] == b"\0\0\0"
                if not self._is_framed:
                    content, self._rest = self._rest, b""
                    return content
            size = int.from_bytes(self._rest[4:_FRAME_HEADER], "big")
            if size > MAX_FRAME_BYTES:
                raise EngineError(f"a frame of {size} bytes in a log; is this a Docker Engine?")
            end = _FRAME_HEADER + size
            if len(self._rest) < end:
                break
            content += self._rest[_FRAME_HEADER:end]
            self._rest = self._rest[end:]
        return content


class LineBuffer:
    """Cut a stream of bytes into lines of at most ``MAX_LINE_BYTES``; the rest of a longer one is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def has_rest(self) -> bool:
        """Whether a line has begun that is not whole."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole now."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:MAX_LINE_BYTES]
        return [line[:MAX_LINE_BYTES] for line in whole]
