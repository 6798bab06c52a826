"""Requests to servers whose answers do not end: each is over in time, wherever the server drips."""

import ssl
from itertools import repeat
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import HTTPError

from exporter.http_deadline import limit_whole_requests
from tests.otlp.tls import Keys, authority_of, pair
from tests.scripted.dripping import dripping

SECONDS, DRIP_SECONDS = 0.3, 0.02
OK = b"HTTP/1.1 200 OK\r\n"
NEVER_ENDING = {
    "status": (b"HTTP/1.1 200 ", b"x"),
    "header": (OK + b"X: ", b"x"),
    "headers": (OK, b"X: 1\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
}


def assert_is_over_in_time(url: str, *, authority: str | None = None, proxy: str | None = None) -> None:
    """Send a request, and fail if it ends otherwise than by its timeout."""
    with requests.Session() as session:
        session.trust_env = False
        limit_whole_requests(session)
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        with pytest.raises((requests.RequestException, HTTPError), match="timed out"):
            session.post(
                url, b"x", timeout=SECONDS, stream=True, verify=authority, proxies=proxies
            ).raw.read()


@pytest.mark.parametrize("kind", NEVER_ENDING)
def test_a_server_that_drips_is_left(kind: str) -> None:
    head, drop = NEVER_ENDING[kind]
    with dripping(head, repeat(drop), DRIP_SECONDS) as url:
        assert_is_over_in_time(url)


@pytest.mark.parametrize("kind", ["header", "body"])
def test_a_server_that_drips_over_tls_is_left(kind: str, tmp_path: Path) -> None:
    keys = Keys.create(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(keys.server))
    head, drop = NEVER_ENDING[kind]
    with dripping(head, repeat(drop), DRIP_SECONDS, context) as url:
        assert_is_over_in_time(url, authority=authority_of(keys.server))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_drips_is_left(scheme: str) -> None:
    head, drop = NEVER_ENDING["header"]
    with dripping(head, repeat(drop), DRIP_SECONDS) as proxy:
        assert_is_over_in_time(f"{scheme}://collector.invalid/", proxy=proxy)


def test_without_a_timeout_there_is_none() -> None:
    head = OK + b"Content-Length: 20\r\n\r\n"
    with dripping(head, repeat(b" "), DRIP_SECONDS) as url, requests.Session() as session:
        session.trust_env = False
        limit_whole_requests(session)
        assert session.get(url, timeout=None).content == b" " * 20  # this is what is tested
