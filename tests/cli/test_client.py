"""Requests of the commands: by proxies of the environment, through redirects, and over TLS."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import EAI_NONAME, gaierror
from socketserver import BaseRequestHandler, TCPServer
from unittest.mock import Mock

import click
import pytest

from exporter.cli.client import Access, ApiClient, UnreachableError
from exporter.cli.proxies import proxy_of

PROXIED = "http://exits.example.com:10137"


@dataclass
class Recorder:
    """Server that answers each path as told, others with no jobs, and keeps path and headers."""

    port: int = 0
    locations: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Return a server that records its requests."""
    recorded = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = {name.lower(): value for name, value in self.headers.items()}
            recorded.requests.append((self.path, sent))
            location = recorded.locations.get(self.path)
            body = json.dumps({"jobs": []}).encode()
            self.send_response(HTTPStatus.FOUND if location else HTTPStatus.OK)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorded.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield recorded
        server.shutdown()
        thread.join()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)


def jobs(client: ApiClient) -> object:
    return client.get("/api/v1/jobs", key="jobs")


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("http://a.example", {}, None),
        ("http://a.example", {"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("http://a.example", {"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        ("https://a.example", {"http_proxy": "http://proxy:3128"}, None),
        ("https://a.example", {"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ("http://a.example", {"ALL_PROXY": "proxy", "NO_PROXY": "b.example, .a.example"}, None),
        ("http://x.a.example:80", {"ALL_PROXY": "proxy", "NO_PROXY": "a.example:80"}, None),
        ("http://a.example", {"ALL_PROXY": "proxy", "NO_PROXY": "*"}, None),
        ("http://user:word@a.example", {"ALL_PROXY": "proxy", "NO_PROXY": "a.example"}, None),
        ("http://10.1.2.3", {"ALL_PROXY": "proxy", "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://11.1.2.3", {"ALL_PROXY": "proxy", "NO_PROXY": "10.0.0.0/8"}, "http://proxy"),
        ("http://a.example", {"ALL_PROXY": "proxy", "NO_PROXY": "10.0.0.0/8"}, "http://proxy"),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    url: str, variables: Mapping[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == proxy


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_is_asked_with_its_own_password(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://ali:se%40me@{recorder.address}")
    jobs(ApiClient(PROXIED, Access(authorization="Bearer abc")))
    ((path, headers),) = recorder.requests
    assert path == f"{PROXIED}/api/v1/jobs"
    assert (headers["proxy-authorization"], headers["authorization"]) == ("Basic YWxpOnNlQG1l", "Bearer abc")


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    ("proxy", "cause"),
    [
        ("socks5://127.0.0.1:1", "Proxy URL had unsupported scheme socks5"),
        ("http://127.0.0.1:1", "no exit-exporter answers at"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_an_error(
    proxy: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(UnreachableError, match=cause):
        jobs(ApiClient(PROXIED))


def test_credentials_follow_a_redirect_on_the_same_server_alone(recorder: Recorder) -> None:
    other = f"http://localhost:{recorder.port}/elsewhere"
    recorder.locations = {"/api/v1/jobs": "/moved", "/moved": other}
    jobs(ApiClient(f"http://{recorder.address}", Access(authorization="Bearer abc")))
    sent = [(path, headers.get("authorization")) for path, headers in recorder.requests]
    assert sent == [("/api/v1/jobs", "Bearer abc"), ("/moved", "Bearer abc"), ("/elsewhere", None)]


def test_a_circle_of_redirects_is_an_error(recorder: Recorder) -> None:
    recorder.locations = {"/api/v1/jobs": "/api/v1/jobs"}
    with pytest.raises(UnreachableError, match="too many redirects; see --url"):
        jobs(ApiClient(f"http://{recorder.address}"))


@pytest.mark.parametrize(
    ("access", "sent"),
    [(Access(), "Basic YWxpOnNlQG1l"), (Access(authorization="Bearer abc"), "Bearer abc")],
)
def test_a_password_in_the_url_is_sent_unless_another_is_given(
    recorder: Recorder, access: Access, sent: str
) -> None:
    jobs(ApiClient(f"http://ali:se%40me@{recorder.address}", access))
    assert recorder.requests[0][1]["authorization"] == sent


def test_a_file_that_is_no_certificate_is_an_error_of_tls(recorder: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(click.ClickException, match=r"TLS failed: .*; see --tls-ca"):
        jobs(ApiClient(f"https://{recorder.address}", Access(authority=str(file))))


def test_a_server_without_tls_is_told_from_a_certificate_that_is_not_trusted(recorder: Recorder) -> None:
    with pytest.raises(UnreachableError, match=r"does not speak TLS; is it http://\? See --url"):
        jobs(ApiClient(f"https://{recorder.address}"))


def test_a_server_that_hangs_up_as_one_with_tls_does_is_told_from_none() -> None:
    with TCPServer(("127.0.0.1", 0), BaseRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(UnreachableError, match=r"closed the connection .*; is it https://\? See --url"):
            jobs(ApiClient(f"http://127.0.0.1:{server.server_address[1]}"))
        thread.join()


@pytest.mark.usefixtures("no_proxies")
def test_a_host_name_that_is_not_known_is_told_from_a_server_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.getaddrinfo", Mock(side_effect=gaierror(EAI_NONAME, "not known")))
    with pytest.raises(UnreachableError, match=r"the host name in http://exits\.example cannot be resolved"):
        jobs(ApiClient("http://exits.example"))
