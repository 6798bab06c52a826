"""Names in the header Host: those of this exporter are answered, others are not shown any job."""

import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from exporter.web.host_check import AllowedHosts, allowed_hosts
from tests.cli.command import invoke
from tests.web.responses import content, problem
from tests.web.served import Served

ADDRESSES = ("127.0.0.1", "127.0.0.1:10137", "10.0.0.7:80", "[::1]", "[fe80::1]:10137", "192.0.2.1")
LOCALHOST = ("localhost", "localhost:10137", "LocalHost:1", "localhost.", "exits.localhost:10137")
PLAIN = ("exporter:10137", "exit_exporter", "Exporter.")
# Names of anybody on the web, and what is no name.
REBOUND = ("evil.example", "evil.example:10137", "127.0.0.1.evil.example", "localhost.evil.example")
NO_HOST = ("", "[", "[::1", "[::1]x", "a b", "x:y", "127.0.0.1:10137:1", "a/b", "é", ":10137")
LOOPBACK, EVERYWHERE = "127.0.0.1:10137", "0.0.0.0:10137"


def allows(host: str, listen_address: str = LOOPBACK, external_url: str = "", *further: str) -> bool:
    """Return whether an exporter on the machine ``node-1`` answers."""
    return allowed_hosts([listen_address], external_url, further, "node-1").allows(host)


@pytest.mark.parametrize("listen_address", [LOOPBACK, "localhost:1", "[::1]:1", EVERYWHERE, ":1", "node-1:1"])
def test_addresses_and_names_of_this_machine_are_allowed_everywhere(listen_address: str) -> None:
    for host in (*ADDRESSES, *LOCALHOST, "node-1:10137", "NODE-1"):
        assert allows(host, listen_address)
    for host in (*REBOUND, *NO_HOST):
        assert not allows(host, listen_address)


@pytest.mark.parametrize("host", PLAIN)
@pytest.mark.parametrize(
    ("listen_address", "expected"),
    [
        *((at, False) for at in (LOOPBACK, "127.1.2.3:1", "localhost:1", "LOCALHOST:1", "[::1]:1")),
        *((at, True) for at in (EVERYWHERE, ":1", "[::]:1", "10.0.0.7:1", "exits.lan:1")),
    ],
)
def test_plain_names_are_allowed_where_the_network_reaches_it(
    host: str, listen_address: str, *, expected: bool
) -> None:
    assert allows(host, listen_address) == expected


@pytest.mark.parametrize(
    ("host", "settings", "expected"),
    [
        ("exits.lan:10137", ("exits.lan:10137",), True),
        ("exits.example.com", (LOOPBACK, "https://Exits.example.com:8443/exits"), True),
        ("example.com", (LOOPBACK, "https://exits.example.com"), False),
        ("a.exits.example.com", (LOOPBACK, "https://exits.example.com"), False),
        ("exits.svc.cluster.local", (LOOPBACK, "", "other", "Exits.svc.cluster.local"), True),
        ("exits.svc.cluster.local", (LOOPBACK, "", ".cluster.local"), True),
        ("cluster.local", (LOOPBACK, "", ".cluster.local"), False),
        ("evilcluster.local", (LOOPBACK, "", ".cluster.local"), False),
        ("evil.example", (LOOPBACK, "", "*"), True),
        ("", (LOOPBACK, "", "*"), True),
    ],
)
def test_names_of_the_settings_are_allowed(host: str, settings: tuple[str, ...], *, expected: bool) -> None:
    assert allows(host, *settings) == expected


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready"])
def test_metrics_and_health_are_answered_by_any_name(served: Served, path: str) -> None:
    for host in ("evil.example", "a b"):
        assert served.ask(path, headers={"Host": host}).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "path", ["/", "/api/v1/jobs", "/api/v1/stream", "/openapi.json", "/nothing", "/-/reload"]
)
def test_all_else_is_refused_with_what_to_do(served: Served, path: str) -> None:
    detail = (
        "the host 'evil.example:80' is not known to be this exporter; "
        "ask for its IP address, or start it with --web.allowed-hosts evil.example"
    )
    for method in ("GET", "POST"):
        response = served.ask(path, method, headers={"Host": "evil.example:80"})
        assert content(response) == problem(HTTPStatus.MISDIRECTED_REQUEST, detail)


def test_an_allowed_name_is_answered(tmp_path: Path) -> None:
    served = Served(tmp_path)
    served.allowed = AllowedHosts(frozenset({"exits.example.com"}))
    with served.running():
        assert served.ask("/api/v1/jobs", headers={"Host": "exits.example.com"}).status_code == HTTPStatus.OK


def test_the_command_says_which_setting_is_missing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    port, resolve = served.url.rpartition(":")[2], socket.getaddrinfo
    monkeypatch.setattr(
        "socket.getaddrinfo", lambda _host, *rest, **named: resolve("127.0.0.1", *rest, **named)
    )
    done = invoke("ps", "--url", f"http://exits.example.com:{port}", NO_PROXY="*")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"Error: the host 'exits.example.com:{port}' is not known to be this exporter; "
        "ask for its IP address, or start it with --web.allowed-hosts exits.example.com\n"
    )
