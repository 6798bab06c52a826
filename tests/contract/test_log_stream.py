"""Reading a log from an engine that answers as engines do, and as they should not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.log_stream import read_log
from exporter.sources.docker.engine import EngineError, LogRefusedError
from tests.scripted.wire import CLOSING_CHUNK, chunk, head
from tests.unit.test_log_frames import frames
from tests.unit.test_log_stream import AT, AT_NS

SECONDS = 10.0
SINCE_NS = 1_700_000_000_000_000_005
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})
LINES = f"{AT} one\n{AT} two\n".encode()
READ = [(AT_NS, "one"), (AT_NS, "two")]
Lines = list[tuple[int, str]]


class OneAnswer:
    """Engine that answers each request with the same pieces of bytes, and closes or hangs then."""

    def __init__(self, path: Path, pieces: Sequence[bytes], *, hangs: bool = False) -> None:
        self._path = path
        self._pieces = pieces
        self._hangs = hangs
        self.requests: list[str] = []
        self.client_left = asyncio.Event()

    async def read(self, take: Callable[[Lines], bool] = lambda _: False) -> Lines:
        """Return the lines of one reading, or the first ones, as soon as there are enough for ``take``."""
        server = await asyncio.start_unix_server(self._serve, self._path)
        lines: Lines = []
        async with server, aclosing(read_log(self._address, "a" * 64, SINCE_NS)) as reading:
            async for line in reading:
                lines.append(line)
                if take(lines):
                    break
        return lines

    @property
    def _address(self) -> EngineAddress:
        return EngineAddress(f"unix://{self._path}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        for piece in self._pieces:
            writer.write(piece)
            await writer.drain()
        if self._hangs:
            await reader.read()
            self.client_left.set()
        writer.close()


def read(path: Path, *pieces: bytes) -> Lines:
    """Return the lines of an answer that comes in these pieces."""
    return asyncio.run(asyncio.wait_for(OneAnswer(path, pieces).read(), SECONDS))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Socket of the engine."""
    return tmp_path / "engine.sock"


def test_the_standard_output_is_asked_for_since_a_time(path: Path) -> None:
    engine = OneAnswer(path, [CHUNKED, CLOSING_CHUNK])
    assert asyncio.run(engine.read()) == []
    (request,) = engine.requests
    expected = "follow=1&stdout=1&timestamps=1&since=1700000000.000000005"
    assert request.startswith(f"GET /containers/{'a' * 64}/logs?{expected} HTTP/1.1\r\n")


@pytest.mark.parametrize("body", [LINES, frames((1, LINES)), LINES.replace(b"\n", b"\r\n")])
def test_lines_have_the_engines_times_wherever_they_are_cut(path: Path, body: bytes) -> None:
    every_byte = [chunk(body[at : at + 1]) for at in range(len(body))]
    for pieces in ([chunk(body)], every_byte):
        found = read(path, CHUNKED, *pieces, CLOSING_CHUNK)
        assert [(at_ns, text.rstrip("\r")) for at_ns, text in found] == READ


def test_a_body_without_chunks_ends_with_the_connection(path: Path) -> None:
    assert read(path, head(200, {}), LINES) == READ


def test_bytes_that_are_no_text_are_replaced(path: Path) -> None:
    assert read(path, CHUNKED, chunk(f"{AT} ".encode() + b"\xff\xfe\n"), CLOSING_CHUNK) == [
        (AT_NS, "\ufffd\ufffd")
    ]


def test_lines_come_while_the_log_goes_on_and_the_engine_is_left_at_once(path: Path) -> None:
    engine = OneAnswer(path, [CHUNKED, chunk(LINES)], hangs=True)

    async def scenario() -> Lines:
        lines = await engine.read(take=lambda lines: len(lines) == 2)
        await engine.client_left.wait()
        return lines

    assert asyncio.run(asyncio.wait_for(scenario(), SECONDS)) == READ


@pytest.mark.parametrize("status", [404, 409, 501])
def test_a_log_that_is_not_given_is_refused_for_good(path: Path, status: int) -> None:
    with pytest.raises(LogRefusedError, match=rf"^the engine does not give it \(HTTP {status}\)$"):
        read(path, head(status, {"Content-Length": "2"}), b"{}")


@pytest.mark.parametrize("status", [401, 403])
def test_a_log_that_is_not_allowed_is_refused_for_good_with_its_path(path: Path, status: int) -> None:
    with pytest.raises(LogRefusedError) as raised:
        read(path, head(status, {"Content-Length": "2"}), b"{}")
    refused = f"does not allow /containers/{{id}}/logs (HTTP {status})"
    assert str(raised.value) == f"the engine, or a filter in front of it, {refused}"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_trouble_of_the_engine_or_a_proxy_may_pass(path: Path, status: int) -> None:
    with pytest.raises(EngineError, match=rf"\(HTTP {status}\)") as raised:
        read(path, head(status, {"Content-Length": "2"}), b"{}")
    assert not isinstance(raised.value, LogRefusedError)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [CHUNKED[:20]],
        [CHUNKED, chunk(LINES)],
        [CHUNKED, chunk(LINES)[:-1]],
        [CHUNKED, b"no chunk\r\n"],
        [head(200, {"Content-Length": "1000"}), LINES],
        [head(200, {"X": "x" * 200_000})],
    ],
    ids=["nothing", "ssh", "half a head", "no end", "half a chunk", "no chunk", "too short", "a long head"],
)
def test_an_answer_that_breaks_off_is_an_error_of_the_engine(path: Path, pieces: Sequence[bytes]) -> None:
    with pytest.raises(EngineError) as raised:
        read(path, *pieces)
    assert not isinstance(raised.value, LogRefusedError)
    assert str(raised.value)


def test_a_log_that_ends_in_the_middle_of_a_line_is_not_whole(path: Path) -> None:
    with pytest.raises(EngineError, match=r"^it ends in the middle of a line$"):
        read(path, CHUNKED, chunk(LINES[:-1]), CLOSING_CHUNK)


def test_an_engine_that_is_down_is_an_error(path: Path) -> None:
    async def scenario() -> None:
        async for _ in read_log(EngineAddress(f"unix://{path}"), "a", SINCE_NS):
            pass

    with pytest.raises(EngineError, match=r"^No such file or directory$"):
        asyncio.run(scenario())
