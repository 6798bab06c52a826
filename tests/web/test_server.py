"""The socket and the server on it."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web import server
from exporter.web.connections import BoundedConnection
from exporter.web.server import create_app, create_server
from tests.web.served import PATIENCE_SECONDS, Served

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextmanager
def connection(served: Served) -> Iterator[socket.socket]:
    """Give a plain connection to the server."""
    host, port = served.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), PATIENCE_SECONDS)) as client:
        yield client


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_responses_do_not_name_the_server(served: Served) -> None:
    assert {*served.ask("/-/healthy").headers} == {"date", "content-length", "content-type"}


def test_responses_are_sent_at_once(served: Served) -> None:
    # Without TCP_NODELAY each response on a kept connection waits 40 ms for the client's kernel.
    served.ask("/-/healthy")
    (kept,) = served.server.server_state.connections
    assert kept.transport is not None
    server_side = kept.transport.get_extra_info("socket")
    assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_silent_clients_block_no_other(served: Served) -> None:
    with ExitStack() as idle:
        for _ in range(50):
            idle.enter_context(connection(served)).sendall(b"GET /metr")
        assert served.ask("/-/healthy").status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 99 + b"\r\n\r\n"]
)
def test_garbage_is_refused(served: Served, garbage: bytes) -> None:
    with connection(served) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).startswith((b"HTTP/1.1 400 Bad Request\r\n", b""))
    assert served.ask("/-/healthy").status_code == HTTPStatus.OK


def test_any_host_header_is_answered(served: Served) -> None:
    for host in ("[", "a b", "", "[::1", "x" * 1000, "é"):
        response = served.ask("/nothing", headers={"Host": host.encode()})
        assert (response.status_code, response.json()["status"]) == (421, 421)


def test_many_clients_are_answered_at_once(served: Served) -> None:
    statuses: list[bytes] = []

    def ask() -> None:
        with connection(served) as client:
            client.sendall(REQUEST)
            statuses.append(read_all(client).split(b"\r\n")[0])

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [b"HTTP/1.1 200 OK"] * 40


def test_it_leaves_signals_to_the_daemon() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with create_server(create_app([])).capture_signals():
        assert {number: signal.getsignal(number) for number in before} == before


def test_no_connection_is_upgraded_whatever_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if there were a library for it; it would take over the connection, with a method of another name.
    monkeypatch.setattr("uvicorn.protocols.websockets.auto.AutoWebSocketsProtocol", H11Protocol)
    upgrade = b"Connection: Upgrade, close\r\nUpgrade: websocket"
    with Served(tmp_path).running() as served, connection(served) as client:
        client.sendall(REQUEST.replace(b"Connection: close", upgrade))
        assert read_all(client).startswith(b"HTTP/1.1 200 OK\r\n")
        assert {type(each) for each in served.server.server_state.connections} <= {BoundedConnection}


def test_it_stops_when_it_is_told_to_and_not_at_its_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TICK_SECONDS", 3600.0)
    with Served(tmp_path).running() as served:
        assert served.ask("/-/healthy").status_code == HTTPStatus.OK


def test_it_stops_although_a_client_keeps_its_connection(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with ExitStack() as idle:
        with served.running():
            client = idle.enter_context(connection(served))
            client.sendall(REQUEST.replace(b"close", b"keep-alive"))
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        # `running` asserts that the server's thread has ended.
        assert read_all(client).endswith(b"}") or read_all(client) == b""
