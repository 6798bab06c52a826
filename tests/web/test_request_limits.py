"""Requests and connections that cost more than they may."""

import time
from http import HTTPStatus

import pytest

from exporter.web import connections
from exporter.web.request_limits import MAX_HEADER_BYTES, MAX_PARAMETERS, MAX_TARGET_BYTES
from tests.web.served import Served
from tests.web.test_server import connection, read_all

REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"
WITHOUT_BODY = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/metrics?a={'x' * MAX_TARGET_BYTES}", {}, HTTPStatus.REQUEST_URI_TOO_LONG),
        (f"/{'x' * MAX_TARGET_BYTES}", {}, HTTPStatus.REQUEST_URI_TOO_LONG),
        ("/metrics", {"X-Long": "x" * MAX_HEADER_BYTES}, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (f"/metrics?{'a&' * MAX_PARAMETERS}", {}, HTTPStatus.BAD_REQUEST),
        (f"/metrics?{'a&' * (MAX_PARAMETERS - 1)}", {"X-Long": "x" * 8000}, HTTPStatus.OK),
    ],
)
def test_a_request_has_a_largest_size(
    served: Served, path: str, headers: dict[str, str], status: int
) -> None:
    # One packet, so that it is the size that is refused and not a part of it.
    with connection(served) as client:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = read_all(client)
    assert int(answer.split()[1]) == status


def test_headers_without_an_end_are_refused(served: Served) -> None:
    with connection(served) as client, pytest.raises(ConnectionError):
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (100 << 20))


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /metr",
        REQUEST + b"GET",
        REQUEST.replace(b"GET", b"POST")[:-2] + b"Content-Length: 9\r\n\r\n",
    ],
)
def test_a_request_that_does_not_arrive_ends_its_connection(
    served: Served, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("REQUEST_SECONDS", "IDLE_SECONDS"):
        monkeypatch.setattr(connections, limit, 0.05)
    with connection(served) as client:
        client.sendall(start)
        # It ends, whatever was answered before; without the limit, this waits for the client's patience.
        read_all(client)


def test_a_kept_connection_stays_open_for_a_scraper_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    with connection(served) as scraper, connection(served) as other:
        scraper.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert scraper.recv(1 << 20).startswith(b"HTTP/1.1 200 OK")
        other.sendall(REQUEST)
        assert read_all(other).startswith(b"HTTP/1.1 200 OK")
        scraper.sendall(REQUEST)
        assert scraper.recv(1 << 20).startswith(b"HTTP/1.1 200 OK")


def test_a_reader_that_takes_nothing_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STUCK_SECONDS", 0.05)
    pipelined = REQUEST.replace(b"/-/healthy", b"/openapi.json") * 100
    with connection(served) as client:
        client.settimeout(0.1)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                client.sendall(pipelined)
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the connection is open although nothing was read")


def test_the_offer_of_another_protocol_is_ignored_without_a_word(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    for protocol in ("websocket", "h2c", "\x80"):
        offer = {"Connection": "keep-alive, Upgrade", "Upgrade": protocol}
        assert served.ask("/-/healthy", headers=offer).json() == {"status": "healthy"}
    assert caplog.messages == []
