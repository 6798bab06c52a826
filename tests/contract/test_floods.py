"""Floods on the port of the daemon: every scrape is answered meanwhile, within bounds of memory and log."""

import re
import resource
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import bcrypt
import pytest
import requests

from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 30.0
USER, PASSWORD = "prometheus", "a good one"
MEMORY_BYTES, LOG_BYTES = 20 << 20, 20_000
IDLE, FEW_FILES = 5_000, 1_024


class Scrapes:
    """Scrapes on new connections, one after another, until the block ends."""

    def __init__(self, exporter: ExporterProcess, **options: Any) -> None:
        """Set what to scrape, and with which options of a request."""
        self.statuses: list[int | str] = []
        self._url = f"{exporter.url}/metrics"
        self._options = options
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            with requests.Session() as http:
                http.trust_env = False
                try:
                    self.statuses.append(http.get(self._url, timeout=10, **self._options).status_code)
                except requests.RequestException as error:
                    self.statuses.append(str(error))


class Guarded(ExporterProcess):
    """An exporter with a password."""

    def __init__(self, engine_url: str, directory: Path) -> None:
        config = directory / "web.yaml"
        config.write_text(
            f"basic_auth_users: {{{USER}: {bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(6)).decode()}}}\n"
        )
        few = ("prlimit", f"--nofile={FEW_FILES}")
        arguments = ("--web.config.file", str(config))
        super().__init__(engine_url, directory, arguments=arguments, wrapper=few)
        self._http.auth = (USER, PASSWORD)

    def memory(self) -> int:
        """Return the bytes of its memory that are in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) << 10

    def connect(self) -> socket.socket:
        """Open a connection."""
        host, port = self.address.split(":")
        return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


@pytest.fixture
def guarded(engine: ScriptedEngine, tmp_path: Path) -> Iterator[Guarded]:
    """Start a daemon with a password and few descriptors."""
    with Guarded(engine.url, tmp_path) as exporter:
        # What is loaded at the first request is no growth.
        exporter.get("/metrics")
        yield exporter


@contextmanager
def slow_requests(exporter: Guarded) -> Iterator[None]:
    """Keep 500 connections open that send a request byte by byte."""
    with ExitStack() as opened:
        clients = [opened.enter_context(closing(exporter.connect())) for _ in range(500)]
        for byte in b"GET /metrics":
            for client in clients:
                send(client, bytes([byte]))
        yield


@contextmanager
def idle_connections(exporter: Guarded) -> Iterator[None]:
    """Keep 5,000 connections open that send nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, IDLE + 1000), hard))
    try:
        with ExitStack() as opened:
            for _ in range(IDLE):
                opened.enter_context(closing(exporter.connect()))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def wrong_passwords(exporter: Guarded) -> Iterator[None]:
    """Send 10,000 wrong passwords, all different."""

    def send_some(first: int) -> None:
        for number in range(first, first + 250):
            pair = b64encode(f"{USER}:{number}".encode()).decode()
            request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {pair}\r\n\r\n"
            with closing(exporter.connect()) as client:
                client.sendall(request.encode())
                assert client.recv(1000).split()[1] in {b"401", b"429"}

    threads = [threading.Thread(target=send_some, args=(first,)) for first in range(0, 10_000, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield


@contextmanager
def long_headers(exporter: Guarded) -> Iterator[None]:
    """Send 100 requests with headers of 1 MB."""
    with ExitStack() as opened:
        for _ in range(100):
            client = opened.enter_context(closing(exporter.connect()))
            send(client, b"GET /metrics HTTP/1.1\r\nX-Long: " + b"x" * (1 << 20))
        yield


def send(client: socket.socket, data: bytes) -> None:
    """Send to a server that may have closed the connection by then."""
    try:
        client.sendall(data)
    except OSError:
        client.close()


@pytest.mark.parametrize("flood", [slow_requests, idle_connections, wrong_passwords, long_headers])
def test_every_scrape_is_answered_during_a_flood(
    engine: ScriptedEngine,
    guarded: Guarded,
    flood: Callable[[Guarded], AbstractContextManager[None]],
) -> None:
    memory, log = guarded.memory(), guarded.log_path.stat().st_size
    with Scrapes(guarded, auth=(USER, PASSWORD)) as scrapes, flood(guarded):
        during = len(scrapes.statuses)
        assert wait_until(lambda: len(scrapes.statuses) >= during + 20, TIMEOUT_SECONDS)
        grown = guarded.memory() - memory
        engine.stop()
        assert wait_until(lambda: guarded.get("/-/ready").status_code == 503, TIMEOUT_SECONDS)
        engine.start()
        assert wait_until(lambda: guarded.get("/-/ready").ok, TIMEOUT_SECONDS)
    assert set(scrapes.statuses) == {HTTPStatus.OK}
    assert grown < MEMORY_BYTES
    assert guarded.log_path.stat().st_size - log < LOG_BYTES
