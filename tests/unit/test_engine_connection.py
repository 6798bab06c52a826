"""What a connection to an engine makes of sockets and names that are not the usual ones."""

import socket
from pathlib import Path

import pytest
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from exporter.sources.docker.api.client import Client
from exporter.sources.docker.api.connection import EngineConnection
from exporter.sources.docker.api.failures import failures
from tests.scripted.server import UnixServer
from tests.scripted.wire import read_request

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_tls_within_the_tls_of_a_proxy_is_closed() -> None:
    ours, theirs = socket.socketpair()
    # Without its handshake: only how it is closed is looked at.
    within: SSLTransport = SSLTransport.__new__(SSLTransport)
    within.socket = ours
    opened = HTTPConnection("localhost")
    opened.sock = within
    with theirs:
        EngineConnection(opened, b"").close()
        assert theirs.recv(1) == b""
    assert ours.fileno() < 0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://engine.example:2375", b"engine.example:2375"),
        ("http://dócker.example:2375", b"xn--dcker-0ta.example:2375"),
        ("http://[::1]:2375", b"[::1]:2375"),
        ("unix:///run/docker.sock", b"localhost"),
    ],
)
def test_a_host_is_named_as_it_is_looked_up(url: str, host: bytes) -> None:
    client = Client(base_url=url, version="1.44")
    assert client._headers.startswith(b"Host: %b\r\n" % host)
    client.close()


@pytest.mark.parametrize(
    ("connections", "answered", "asked"),
    [
        # What each connection is sent for one request after another, before it is closed.
        ([[ANSWER, b""], [ANSWER]], True, 3),
        ([[ANSWER, b""], [b""]], False, 3),
        ([[ANSWER, ANSWER[:1]], [ANSWER]], False, 2),
        ([[b""], [ANSWER]], False, 1),
    ],
    ids=["closed when used again", "and again", "closed in an answer", "closed when new"],
)
def test_a_request_is_sent_once_more_if_its_connection_was_closed_when_it_was_used_again(
    tmp_path: Path, connections: list[list[bytes]], asked: int, *, answered: bool
) -> None:
    left, seen = iter(connections), []

    def talk(connection: socket.socket) -> None:
        with connection.makefile("rb") as reader:
            for answer in next(left):
                seen.append(read_request(reader))
                connection.sendall(answer)

    path = tmp_path / "engine.sock"
    server = UnixServer(path, talk)
    client = Client(base_url=f"unix://{path}", version="1.44")
    try:
        if len(connections[0]) > 1:
            assert client.fetch("/info") == (200, b"{}")
        if answered:
            assert client.fetch("/info") == (200, b"{}")
        else:
            with pytest.raises(failures()):
                client.fetch("/info")
    finally:
        client.close()
        server.stop()
    assert len(seen) == asked
