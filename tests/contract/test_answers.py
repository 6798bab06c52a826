"""Answers of an engine that do not begin, do not end, or grow when decompressed: all have a bound."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from exporter.sources.docker.api import answer, transport
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.engine import ContainerList, EngineError
from exporter.sources.docker.messages import CaughtUp, StreamOpened
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.source import Disconnected
from tests.contract.engines import identity
from tests.contract.watcher_driver import WatcherDriver
from tests.scripted.engine import ScriptedEngine
from tests.scripted.server import UnixServer
from tests.scripted.wire import chunk, read_request

SOON = 0.2
VERSION = b'{"ApiVersion":"1.41"}'
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = ENDLESS + chunk(b"{}") + b"0\r\nX-Long: "
EXTENDED = ENDLESS + chunk(b"{}") + b"1;"
REFUSED = b"HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(64 << 20))
COMPRESSED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
TOO_LONG = "an answer of more than 33554432 bytes; is this a Docker Engine?"
NOT_PLAIN = "a compressed answer ('gzip'), which was not asked for"

REQUESTS: dict[str, tuple[str, Callable[[DockerEngine], object]]] = {
    "version": ("/version", DockerEngine.info),
    "info": ("/info", DockerEngine.info),
    "list": ("/containers/json", DockerEngine.container_ids),
    "inspect": (f"/containers/{identity(1)}/json", lambda engine: engine.inspect(identity(1))),
    "buffer": ("/events", lambda engine: engine.buffered_events(1, 2)),
    "stream": ("/events", DockerEngine.events),
}


@contextmanager
def answering(directory: Path, path: str, head: bytes, part: bytes, pause: float) -> Iterator[DockerEngine]:
    """Give an engine that sends one answer, in endless equal parts, to every request for a path."""

    def talk(connection: socket) -> None:
        with connection.makefile("rb") as reader:
            while (request := read_request(reader)) is not None:
                if request.path == path:
                    connection.sendall(head)
                    while True:
                        connection.sendall(part)
                        time.sleep(pause)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(VERSION) + VERSION)

    server = UnixServer(directory / "engine.sock", talk)
    engine = DockerEngine(EngineAddress(f"unix://{directory}/engine.sock"))
    try:
        yield engine
    finally:
        engine.close()
        server.stop()


@pytest.mark.parametrize("asked", REQUESTS)
@pytest.mark.parametrize(
    ("head", "part", "cause"),
    [(ENDLESS, chunk(bytes(1 << 20)), TOO_LONG), (COMPRESSED, BOMB, NOT_PLAIN)],
    ids=["endless", "compressed"],
)
def test_an_answer_is_read_within_a_bound(
    tmp_path: Path, asked: str, head: bytes, part: bytes, cause: str
) -> None:
    path, request = REQUESTS[asked]
    # A stream may be endless; only what refuses one is read as a whole.
    head = REFUSED if (asked, head) == ("stream", ENDLESS) else head
    with answering(tmp_path, path, head, part, 0) as engine, pytest.raises(EngineError) as error:
        request(engine)
    assert cause in str(error.value)


@pytest.mark.parametrize("head", [TRAILERS, EXTENDED], ids=["trailers", "chunk extension"])
@pytest.mark.parametrize("asked", ["list", "stream"])
def test_what_is_no_body_is_read_within_a_bound(tmp_path: Path, asked: str, head: bytes) -> None:
    path, request = REQUESTS[asked]
    with answering(tmp_path, path, head, b"x" * 4096, 0) as engine, pytest.raises(EngineError) as error:
        request(engine) if asked == "list" else list(engine.events())
    assert str(error.value).startswith("headers of more than 65536 bytes")


@pytest.mark.parametrize("asked", ["version", "info", "buffer"])
def test_an_answer_that_comes_byte_by_byte_has_a_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(answer, "ANSWER_SECONDS", SOON)
    path, request = REQUESTS[asked]
    with answering(tmp_path, path, ENDLESS, chunk(b" "), 0.01) as engine, pytest.raises(EngineError) as error:
        request(engine)
    assert "an answer that has not ended within 0.2 s" in str(error.value)


def test_a_stream_without_headers_is_not_waited_for_and_not_up(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "REQUEST_SECONDS", SOON)
    engine.delay("/events", math.inf)
    with WatcherDriver(engine) as watcher:
        (first,) = watcher.receive(1)
        assert isinstance(first, Disconnected)
        assert "timed out" in first.cause
        engine.delay("/events", 0)
        watcher.pauses.end_one()
        assert isinstance(watcher.receive_until(StreamOpened)[-1], StreamOpened)


def test_a_stream_with_headers_may_be_silent(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REQUEST_SECONDS", SOON)
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON)) as watcher:
        watcher.receive_until(ContainerList)
        assert {type(each) for each in watcher.receive(5)} == {CaughtUp}
