"""Bytes on the port that are nearly requests: none is answered with a 5xx, logged as an error, or fatal."""

import re
import select
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.contract.engines import on_other_host
from tests.lab.exporter import ExporterProcess
from tests.lab.mutations import mutated_text
from tests.scripted.engine import ScriptedEngine

PATIENCE_SECONDS = 20.0
# How long to wait for an answer before the next part is sent; that none has come by then is no failure.
PAUSE_SECONDS = 0.005
# For how long nothing comes of an answer that is over, or has no end.
QUIET_SECONDS = 0.2
STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"
HOST = "HTTP/1.1\r\nHost: localhost\r\n"
STREAM = f"GET /api/v1/stream {HOST}Last-Event-ID: 1\r\n{CHUNKED}"
REQUESTS = (
    f"GET /-/healthy {HOST}\r\n",
    f"GET /metrics {HOST}Accept: application/openmetrics-text; version=1.0.0;q=0.5\r\n\r\n",
    f"GET /api/v1/jobs?limit=5&reason=Error {HOST}Accept-Encoding: gzip\r\n\r\n",
    f'GET /api/v1/summary?since=30d {HOST}If-None-Match: W/"a"\r\n\r\n',
    STREAM,
    f"GET /static/style.css?a=1 {HOST}Range: bytes=0-9\r\n\r\n",
    "GET /jobs/abc HTTP/1.0\r\nAccept: text/html\r\nCookie: a=b\r\n\r\n",
    f"HEAD /metrics {HOST}Authorization: Basic YTpi\r\n\r\n",
    f"POST /-/reload {HOST}Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc",
    f"POST /-/reload {HOST}Origin: http://localhost\r\n{CHUNKED}3\r\nabc\r\n0\r\n\r\n",
    f"GET / {HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
    f"OPTIONS * {HOST}\r\n",
    f"CONNECT localhost:80 {HOST}\r\n",
    f"GET http://localhost/metrics {HOST}Connection: close\r\n\r\n",
)
SIGNS = ("\r\n", *"\r\n\0 \t:,;=?&%@[\xff", "/../", "//", "[::1")
NUMBERS = ("0", "-1", "f" * 20, "9" * 5000, "%00", "%ff", "%ed%a0%80")
LINES = (
    *("GET", "HTTP/9.9", "HTTP/1.1 ", "Host: a\r\n", "Host: [\r\n", "X-Long: " + "x" * 20_000),
    *(f"Content-Length: {length}\r\n" for length in ("5", "-5", "5, 6")),
    *(f"Transfer-Encoding: {encoding}\r\n" for encoding in ("chunked", "gzip")),
    *("Connection: close\r\n", "Expect: 100-continue\r\n"),
)
FRAGMENTS = (*SIGNS, *NUMBERS, *LINES)
ONES = st.sampled_from(REQUESTS)
ONES |= ONES.flatmap(lambda request: mutated_text(request, FRAGMENTS))
PARTS = st.lists(ONES, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """Running daemon, whose catalogue can be reloaded over the port."""
    directory: Path = tmp_path_factory.mktemp("raw")
    arguments = ("--web.enable-lifecycle", "--log.level", "warning")
    with (
        on_other_host(ScriptedEngine(directory)) as engine,
        ExporterProcess(engine.url, directory, arguments=arguments) as ready,
    ):
        yield ready


@given(PARTS, st.sampled_from([0, PAUSE_SECONDS]))
@settings(max_examples=200)
@example([STREAM, "no chunk\r\n"], PAUSE_SECONDS)
@example([REQUESTS[0] * 50 + "GET"], 0)
def test_no_bytes_are_answered_with_a_5xx_or_fatal(
    exporter: ExporterProcess, parts: list[str], pause_seconds: float
) -> None:
    answers = answers_to(exporter, [part.encode() for part in parts], pause_seconds)
    assert [status for status in STATUS.findall(answers) if status.startswith(b"5")] == []
    assert exporter.get("/-/healthy").status_code == HTTPStatus.OK
    log = exporter.log_path.read_text()
    assert [line for line in log.splitlines() if "level=error" in line or "level=critical" in line] == []


def answers_to(exporter: ExporterProcess, parts: list[bytes], pause_seconds: float) -> bytes:
    """Send some bytes, part by part, end the sending, and return what comes back until nothing more does."""
    host, port = exporter.address.split(":")
    answers = b""
    with closing(socket.create_connection((host, int(port)), PATIENCE_SECONDS)) as client:
        # A server may close a connection while it is being sent to.
        with suppress(ConnectionError):
            for part in parts:
                client.sendall(part)
                if select.select([client], [], [], pause_seconds)[0]:
                    answers += client.recv(1 << 20)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            client.settimeout(QUIET_SECONDS)
            while received := client.recv(1 << 20):
                answers += received
    return answers
