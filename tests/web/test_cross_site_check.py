"""Requests of pages: those of other sites change nothing."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from tests.web.responses import content, problem
from tests.web.served import Served

EXTERNAL = "https://exits.example.com"
REFUSED = problem(
    HTTPStatus.FORBIDDEN,
    "a page of another site sent this; its URL must be --web.external-url, or send it without a browser",
)
OWN: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://HOST"},
    {"Origin": EXTERNAL},
    {"Origin": f"{EXTERNAL}:443"},
    {"Sec-Fetch-Site": "cross-site", "Origin": EXTERNAL},
)
OTHER: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://HOST"},
    {"Sec-Fetch-Site": "strange"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://exits.example.com"},
    {"Origin": f"{EXTERNAL}:8443"},
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a running server with an external URL."""
    behind_proxy = Served(tmp_path_factory.mktemp("served"))
    behind_proxy.external_url = f"{EXTERNAL}/exits"
    with behind_proxy.running() as running:
        yield running


def post(served: Served, headers: dict[str, str]) -> requests.Response:
    """Send a reload with these headers, in which HOST is the server's own."""
    host = served.url.removeprefix("http://")
    filled = {name: value.replace("HOST", host) for name, value in headers.items()}
    return served.ask("/-/reload", "POST", headers=filled)


@pytest.mark.parametrize("headers", OWN)
def test_own_pages_and_other_clients_may_reload(served: Served, headers: dict[str, str]) -> None:
    assert post(served, headers).status_code == HTTPStatus.OK


@pytest.mark.parametrize("headers", OTHER)
def test_pages_of_other_sites_may_only_read(served: Served, headers: dict[str, str]) -> None:
    assert content(post(served, headers)) == REFUSED
    assert served.ask("/api/v1/jobs", headers=headers).status_code == HTTPStatus.OK


def test_without_an_external_url_no_other_origin_is_its_own(tmp_path: Path) -> None:
    with Served(tmp_path).running() as plain:
        assert content(post(plain, {"Origin": EXTERNAL})) == REFUSED
        assert content(post(plain, {"Origin": ""})) == REFUSED
