"""Floods of TLS handshakes on the daemon's port: every scrape with a certificate is answered meanwhile."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.contract.test_floods import LOG_BYTES, Scrapes
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.otlp.tls import Keys, authority_of, pair
from tests.scripted.engine import ScriptedEngine

TIMEOUT_SECONDS = 30.0
CLIENTS = 300
CONFIG = """\
tls_server_config:
  cert_file: server/cert.pem
  key_file: server/key.pem
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: server/ca.pem
"""
Flood = Callable[["Mutual"], AbstractContextManager[None]]


class Mutual(ExporterProcess):
    """An exporter whose clients need a certificate."""

    def __init__(self, engine_url: str, directory: Path, keys: Keys) -> None:
        config = directory / "web.yaml"
        config.write_text(CONFIG)
        super().__init__(engine_url, directory, arguments=("--web.config.file", str(config)))
        self.keys = keys
        self._http.verify, self._http.cert = authority_of(keys.server), pair(keys.client)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"https://{self.address}"

    def connect(self) -> socket.socket:
        """Open a connection, without TLS as yet."""
        host, port = self.address.split(":")
        return socket.create_connection((host, int(port)), TIMEOUT_SECONDS)


@pytest.fixture
def mutual(engine: ScriptedEngine, tmp_path: Path) -> Iterator[Mutual]:
    """Start a daemon whose clients need a certificate."""
    with Mutual(engine.url, tmp_path, Keys.create(tmp_path)) as exporter:
        yield exporter


@contextmanager
def half_open(exporter: Mutual, kept: slice) -> Iterator[None]:
    """Keep connections open on which only a part of the first message of a handshake was sent."""
    hello = first_message()[kept]
    with ExitStack() as opened:
        for _ in range(CLIENTS):
            client = opened.enter_context(closing(exporter.connect()))
            with suppress(ConnectionError):
                client.sendall(hello)
        yield


def first_message() -> bytes:
    """Return what a client begins a handshake with."""
    sent = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


@contextmanager
def refused(exporter: Mutual, *, has_certificate: bool) -> Iterator[None]:
    """Ask with no certificate, or with that of another authority; nobody is answered."""
    context = ssl.create_default_context(cafile=authority_of(exporter.keys.server))
    context.check_hostname = False
    if has_certificate:
        context.load_cert_chain(*pair(exporter.keys.stranger))
    for _ in range(CLIENTS):
        with suppress(ssl.SSLError, ConnectionError), context.wrap_socket(exporter.connect()) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100) == b""
    yield


FLOODS: dict[str, Flood] = {
    "half of a first message": partial(half_open, kept=slice(100)),
    "first message": partial(half_open, kept=slice(None)),
    "no certificate": partial(refused, has_certificate=False),
    "wrong certificate": partial(refused, has_certificate=True),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_every_scrape_is_answered_during_a_flood_of_handshakes(mutual: Mutual, flood: Flood) -> None:
    log = mutual.log_path.stat().st_size
    trusted = {"verify": authority_of(mutual.keys.server), "cert": pair(mutual.keys.client)}
    with Scrapes(mutual, **trusted) as scrapes, flood(mutual):
        during = len(scrapes.statuses)
        assert wait_until(lambda: len(scrapes.statuses) >= during + 20, TIMEOUT_SECONDS)
    assert set(scrapes.statuses) == {HTTPStatus.OK}
    assert mutual.log_path.stat().st_size - log < LOG_BYTES
