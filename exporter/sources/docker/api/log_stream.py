"""One container's log as it is written: `GET /containers/{id}/logs?follow=1` on a connection of its own.

asyncio and h11 in place of the SDK's client, so that hundreds of logs are followed by one thread.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

import h11

from exporter.errors import message_of
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.scalars import format_time, parse_time
from exporter.sources.docker.api.ssh import ssh_command, start_ssh
from exporter.sources.docker.api.status import FORBIDDEN
from exporter.sources.docker.engine import EngineError, LogRefusedError
from exporter.text import sanitize

_CHUNK_BYTES = 1 << 16
# Longer lines are cut: a runner's own are a few hundred bytes.
MAX_LINE_BYTES = 1 << 14
# Engines send at most 16 KiB in a frame.
MAX_FRAME_BYTES = 1 << 20
CONNECT_SECONDS = 10.0
LOG_PATH = "/containers/{id}/logs"
_PORT = 2375
_FRAME_HEADER = 8
# The stream on which an engine reports that it cannot go on reading.
_ENGINES_OWN = 3
_STREAM_IDS = frozenset({0, 1, 2, _ENGINES_OWN})
_Note = Callable[[str, int], None]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def read_log(
    address: EngineAddress,
    container_id: str,
    since_ns: int,
    note: _Note = lambda _path, _status: None,
) -> AsyncGenerator[tuple[int, str], None]:
    """Yield the lines of a container's standard output since a time, with the engine's time of each.

    A line without a time, which only follows a cut one, has that of the line before. Ends with the log, which
    is when the container ends. Raises LogRefusedError if the engine does not give the log, EngineError if the
    connection or the engine fails. ``note`` is told the path and the status of the answer.
    """
    query = {"follow": 1, "stdout": 1, "timestamps": 1, "since": format_time(since_ns)}
    # Without a version: any engine has this request, and the latest is what its own client would use.
    target = f"{LOG_PATH.format(id=quote(container_id, safe=''))}?{urlencode(query)}"
    try:
        async with _connect(address) as streams:
            lines, at_ns = LineBuffer(), since_ns
            async for data in _body(streams, target, note):
                for line in lines.feed(data):
                    at_ns, text = split_time(line.decode(errors="replace"), at_ns)
                    yield at_ns, text
            if lines.size:
                raise EngineError("it ends in the middle of a line")
    except (OSError, h11.ProtocolError) as error:
        raise EngineError(message_of(error)) from error


def split_time(line: str, before_ns: int) -> tuple[int, str]:
    """Return the engine's time of a line, and its text; ``before_ns`` and all of it if it has no time."""
    time, _, text = line.partition(" ")
    try:
        at_ns = parse_time(time)
    except (ValueError, OverflowError):
        return before_ns, line
    return at_ns or before_ns, text


@asynccontextmanager
async def _connect(address: EngineAddress) -> AsyncIterator[_Streams]:
    """Open a connection to the engine, and close it at the end."""
    if address.is_ssh:
        async with _ssh(address.url) as streams:
            yield streams
        return
    url = urlsplit(address.url)
    opening = (
        asyncio.open_unix_connection(url.path)
        if address.is_local
        else asyncio.open_connection(url.hostname, url.port or _PORT, ssl=_tls_context(address))
    )
    reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def _ssh(url: str) -> AsyncIterator[_Streams]:
    """Run ssh, and end it."""
    try:
        # Not asyncio's subprocess: cancelled while it starts one, it leaves pipes to a loop that is closed.
        ours, process = start_ssh(ssh_command(url), subprocess.DEVNULL)
    except FileNotFoundError as error:
        # The SDK's own ssh has a thread for each connection.
        raise LogRefusedError("following it over ssh needs an ssh client") from error
    try:
        with ours:
            reader, writer = await asyncio.open_connection(sock=ours)
            try:
                yield reader, writer
            finally:
                writer.close()
    finally:
        process.kill()
        process.wait()


def _tls_context(address: EngineAddress) -> ssl.SSLContext | None:
    if address.tls is None:
        return ssl.create_default_context() if address.url.startswith("https://") else None
    context = ssl.create_default_context(cafile=address.tls.ca_cert)
    if not address.tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if address.tls.cert:
        context.load_cert_chain(*address.tls.cert)
    return context


async def _body(streams: _Streams, target: str, note: _Note) -> AsyncIterator[bytes]:
    """Send a GET and yield what its answer's body carries, without the engine's frames."""
    reader, writer = streams
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=target, headers=[("Host", "docker"), ("Connection", "close")])
    writer.write(connection.send(request) + connection.send(h11.EndOfMessage()))
    await writer.drain()
    unframe: Callable[[bytes], bytes] = FrameDecoder().feed
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            case h11.Response(status_code=status):
                note(target, status)
                if status != HTTPStatus.OK:
                    raise _refusal(status)
            case h11.Data(data=data):
                yield unframe(bytes(data))
            case h11.EndOfMessage():
                return
            case h11.ConnectionClosed():
                raise EngineError("the connection was closed")


def _refusal(status: int) -> EngineError:
    """Return the error for a status: one of the engine's own trouble, or of a proxy's, may pass."""
    if status in FORBIDDEN:
        return LogRefusedError(
            f"the engine, or a filter in front of it, does not allow {LOG_PATH} (HTTP {status})"
        )
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED
    return (EngineError if may_pass else LogRefusedError)(f"the engine does not give it (HTTP {status})")


class FrameDecoder:
    """Removes the frames of a log: stream number, three zeros, length. A terminal's log has none."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_framed: bool | None = None

    def feed(self, data: bytes) -> bytes:
        """Return what the data carries; a frame that is not whole yet waits for its rest.

        Raises EngineError for a frame that no engine sends, and for one in which it reports that it failed.
        """
        self._rest += data
        if self._is_framed is None and len(self._rest) >= _FRAME_HEADER:
            self._is_framed = self._rest[0] in _STREAM_IDS and self._rest[1:4] == b"\0\0\0"
        if self._is_framed:
            return b"".join(self._take_frames())
        if self._is_framed is None:
            return b""
        content, self._rest = self._rest, b""
        return content

    def _take_frames(self) -> list[bytes]:
        """Return the content of the frames that are whole, and keep the rest."""
        taken, begin, rest = [], 0, self._rest
        while len(rest) - begin >= _FRAME_HEADER:
            content = begin + _FRAME_HEADER
            end = content + _frame_size(rest[begin:content])
            if len(rest) < end:
                break
            if rest[begin] == _ENGINES_OWN:
                raise EngineError(sanitize(rest[content:end].decode(errors="replace").strip()))
            taken.append(rest[content:end])
            begin = end
        self._rest = rest[begin:]
        return taken


def _frame_size(header: bytes) -> int:
    size = int.from_bytes(header[4:], "big")
    if size > MAX_FRAME_BYTES:
        raise EngineError(f"a frame of {size} bytes in a log; is this a Docker Engine?")
    return size


class LineBuffer:
    """Cut a stream of bytes into lines of at most ``MAX_LINE_BYTES``; the rest of a longer one is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def size(self) -> int:
        """Bytes that are kept of a line that is not whole."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole now."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:MAX_LINE_BYTES]
        return [line[:MAX_LINE_BYTES] for line in whole]
