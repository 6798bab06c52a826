"""The socket and the server on it: where they listen, whom they answer, and that they end."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from exporter.web.server import ListenError, create_server, open_listener
from tests.web.served import PATIENCE_SECONDS, Served

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextmanager
def connection(served: Served) -> Iterator[socket.socket]:
    """Give a plain connection to the server."""
    host, port = served.url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), PATIENCE_SECONDS)) as client:
        yield client


def everything(client: socket.socket) -> bytes:
    """Read until the other side ends."""
    return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("address", "family", "host"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
        ("[::1]:0", socket.AF_INET6, "::1"),
        ("localhost:0", socket.AF_INET, "127.0.0.1"),
    ],
)
def test_it_listens_where_it_is_told(address: str, family: socket.AddressFamily, host: str) -> None:
    with closing(open_listener(address)) as listener:
        assert (listener.family, listener.getsockname()[0]) == (family, host)
        assert listener.getsockname()[1] != 0


def test_without_a_host_it_listens_on_all_addresses_of_both_kinds() -> None:
    with closing(open_listener(":0")) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), PATIENCE_SECONDS).close()


def refusal(address: str) -> str:
    """Give what is said of an address that cannot be listened on."""
    with pytest.raises(ListenError) as caught:
        open_listener(address).close()
    return str(caught.value)


def test_an_address_that_is_taken_is_named() -> None:
    with closing(open_listener("127.0.0.1:0")) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        expected = f"cannot listen on {address}: Address already in use"
        assert refusal(address) == expected


def test_an_address_of_another_machine_is_named() -> None:
    # 192.0.2.0/24 is for documents, and no machine's own.
    expected = "cannot listen on 192.0.2.1:0: Cannot assign requested address"
    assert refusal("192.0.2.1:0") == expected


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
def test_a_host_that_can_be_none_is_named(host: str) -> None:
    assert refusal(f"{host}:0").startswith(f"cannot listen on {host}:0: ")


def test_it_says_nothing_of_what_it_is_made_of(served: Served) -> None:
    assert {*served.ask("/-/healthy").headers} == {"date", "content-length", "content-type"}


def test_answers_are_sent_at_once_and_not_gathered_first(served: Served) -> None:
    # Without TCP_NODELAY every answer on a connection that is kept waits 40 ms for the client's kernel.
    served.ask("/-/healthy")
    (kept,) = served.server.server_state.connections
    assert kept.transport is not None
    server_side = kept.transport.get_extra_info("socket")
    assert server_side.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_clients_that_say_nothing_keep_no_one_waiting(served: Served) -> None:
    with ExitStack() as idle:
        for _ in range(50):
            idle.enter_context(connection(served)).sendall(b"GET /metr")
        assert served.ask("/-/healthy").status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 99 + b"\r\n\r\n"]
)
def test_what_is_no_http_is_refused_and_the_next_client_answered(served: Served, garbage: bytes) -> None:
    with connection(served) as client:
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        assert everything(client).startswith((b"HTTP/1.1 400 Bad Request\r\n", b""))
    assert served.ask("/-/healthy").status_code == HTTPStatus.OK


def test_a_strange_host_header_changes_nothing(served: Served) -> None:
    for host in ("[", "a b", "", "[::1", "x" * 1000, "é"):
        answer = served.ask("/nothing", headers={"Host": host.encode()})
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_many_clients_are_answered_at_once(served: Served) -> None:
    statuses: list[bytes] = []

    def ask() -> None:
        with connection(served) as client:
            client.sendall(REQUEST)
            statuses.append(everything(client).split(b"\r\n")[0])

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [b"HTTP/1.1 200 OK"] * 40


def test_it_leaves_signals_to_the_daemon() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with create_server(lambda *_: None).capture_signals():  # type: ignore[arg-type]
        assert {number: signal.getsignal(number) for number in before} == before


def test_it_ends_although_a_client_keeps_its_connection(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with ExitStack() as idle:
        with served.running():
            client = idle.enter_context(connection(served))
            client.sendall(REQUEST.replace(b"close", b"keep-alive"))
            assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
        # `running` asserts that the server's thread has ended.
        assert everything(client).endswith(b"}") or everything(client) == b""
