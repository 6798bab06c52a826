"""What a connection to an engine makes of sockets and names that are not the usual ones."""

import socket

import pytest
from urllib3.connection import HTTPConnection
from urllib3.util.ssltransport import SSLTransport

from exporter.sources.docker.api.client import Client
from exporter.sources.docker.api.connection import EngineConnection


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
