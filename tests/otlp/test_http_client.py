"""OTLP over HTTP: headers, addresses, statuses, and replies that are not OTLP."""

import gzip
import json
import socket
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, tzinfo
from itertools import repeat
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter import __version__
from exporter.otlp import http_client
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure
from exporter.otlp.endpoint import Compression, OtlpEndpoint
from exporter.otlp.http_client import OtlpHttpClient
from tests.otlp.samples import request
from tests.otlp.tls import Keys, authority_of, pair
from tests.otlp.transports import HttpTransport, export
from tests.scripted.dripping import dripping
from tests.scripted.http_receiver import LOOPBACK, Receiver
from tests.scripted.http_replies import (
    OK,
    Reply,
    html,
    partial,
    redirect,
    reset,
    reset_after_keeping,
    slow_drip,
    status,
)
from tests.scripted.received import ReceivedRequest

SECRET = "hunter2"  # noqa: S105  # the tests look for it
SOON, LATE, DRIP_SECONDS = 0.3, 5.0, 0.02
HERE = "http://127.0.0.1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@contextmanager
def opened(url: str, **changes: Any) -> Iterator[OtlpHttpClient]:
    """Open a client, and close it."""
    with closing(OtlpHttpClient(OtlpEndpoint(url, **changes))) as client:
        yield client


def result_of(receiver: Receiver, reply: Reply, **changes: Any) -> ExportResult:
    """Return what a reply means."""
    return export(HttpTransport(), receiver, reply, **changes)


# Requests


def test_the_path_and_the_query_of_the_endpoint_are_used(receiver: Receiver) -> None:
    for path in ("/tenant/a/v1/traces", "/in?to=/v1/traces"):
        with opened(receiver.url + path) as client:
            assert client.send(request()) == Accepted()
    assert [asked.path for asked in receiver.requests] == ["/tenant/a/v1/traces", "/in?to=/v1/traces"]


def headers_of(asked: ReceivedRequest) -> Mapping[str, str]:
    """Return all headers but host and length."""
    assert asked.headers["content-length"] == str(asked.size)
    return {name: value for name, value in asked.headers.items() if name not in {"host", "content-length"}}


BARE = {
    "accept": "*/*",
    "accept-encoding": str(requests.utils.default_headers()["Accept-Encoding"]),
    "connection": "keep-alive",
    "content-type": "application/x-protobuf",
    "user-agent": f"exit-exporter/{__version__}",
}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        pytest.param({}, {}, id="by default"),
        pytest.param({"compression": Compression.GZIP}, {"content-encoding": "gzip"}, id="gzip"),
        pytest.param({"compression": Compression.DEFLATE}, {"content-encoding": "deflate"}, id="deflate"),
        pytest.param(
            {"headers": (("authorization", "Bearer token"), ("x-scope-orgid", "tenant 1"), ("x-empty", ""))},
            {"authorization": "Bearer token", "x-scope-orgid": "tenant 1", "x-empty": ""},
            id="headers",
        ),
        pytest.param({"headers": (("user-agent", "me"),)}, {"user-agent": "me"}, id="an own user agent"),
    ],
)
def test_the_headers_are_these_and_no_others(
    receiver: Receiver, changes: dict[str, Any], more: dict[str, str]
) -> None:
    assert result_of(receiver, OK, **changes) == Accepted()
    assert [headers_of(asked) for asked in receiver.requests] == [{**BARE, **more}]


def test_a_user_in_the_url_is_basic_authorization(receiver: Receiver) -> None:
    with opened(f"{receiver.url.replace('//', f'//user:{SECRET}@')}/v1/traces") as client:
        assert client.send(request()) == Accepted()
    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpodW50ZXIy"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        (f"http://user:{SECRET}@collector:4318/v1/traces", "http://[redacted]@collector:4318/v1/traces"),
        (f"https://{SECRET}@[::1]/v1/traces", "https://[redacted]@[::1]/v1/traces"),
        (f"http://user:@{SECRET}@collector/v1/traces", "http://[redacted]@collector/v1/traces"),
        (f"http://user:12/{SECRET}@collector/v1/traces", "http://[redacted]@collector/v1/traces"),
        (f"http://collector/in?token={SECRET}", "http://collector/in?[redacted]"),
    ],
)
def test_the_address_is_the_url_without_secrets(url: str, address: str) -> None:
    with opened(url, headers=(("authorization", SECRET),)) as client:
        assert client.address == address


# Accepted


JSON, PROTOBUF = "application/json", "application/x-protobuf"
PARTIAL = partial(2, "m").body


def json_of(partial_success: object) -> bytes:
    """Return a response in JSON."""
    return json.dumps({"partialSuccess": partial_success, "more": 1}).encode()


@pytest.mark.parametrize(
    ("code", "content_type", "body", "accepted"),
    [
        (202, PROTOBUF, b"", Accepted()),
        (204, "text/html", b"", Accepted()),
        (200, "", PARTIAL, Accepted(2, "m")),
        (200, "Application/X-Protobuf; charset=x", PARTIAL, Accepted(2, "m")),
        (200, JSON, b"{}", Accepted()),
        (200, JSON, json_of(None), Accepted()),
        # In JSON, protobuf writes large numbers in quotes.
        (200, JSON, json_of({"rejectedSpans": "3", "errorMessage": "too old"}), Accepted(3, "too old")),
        (200, f"{JSON}; charset=utf-8", json_of({"rejectedLogRecords": 4}), Accepted(4)),
        (200, JSON, json_of({"errorMessage": "y" * 1000}), Accepted(0, "y" * 400)),
        # A sentence for each of 512 spans.
        (200, JSON, json_of({"errorMessage": "y" * 1_000_000}), Accepted(0, "y" * 400)),
        (200, PROTOBUF, partial(2, "y" * 1_000_000).body, Accepted(2, "y" * 400)),
    ],
)
def test_a_response_in_protobuf_or_json_is_an_acceptance(
    receiver: Receiver, code: int, content_type: str, body: bytes, accepted: Accepted
) -> None:
    assert result_of(receiver, Reply(code, body=body, content_type=content_type)) == accepted


# Failures


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (PROTOBUF, b"<!doctype html>"),
        (PROTOBUF, b"<html>" * 20_000),
        ("", b"<!doctype html>"),
        *((JSON, body) for body in (b"{", b"\xff", b"[" * 60_000, b"[]")),
        *((JSON, json_of({"rejectedSpans": number})) for number in ("x", [1], float("inf"))),
        (JSON, json_of("x")),
    ],
)
def test_a_success_that_is_not_otlp_is_a_failure(receiver: Receiver, content_type: str, body: bytes) -> None:
    cause = "HTTP 200 with an answer that is not OTLP; is it a collector?"
    assert result_of(receiver, Reply(body=body, content_type=content_type)) == RetryableFailure(cause)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (html(), "HTTP 200 with text/html, which is not OTLP; is it a collector?"),
        (
            Reply(201, body=b"hello", content_type="text/plain; charset=utf-8"),
            "HTTP 201 with text/plain, which is not OTLP; is it a collector?",
        ),
        (
            Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
            "Error -3 while decompressing data: incorrect header check",
        ),
    ],
)
def test_the_cause_names_the_content_of_the_response(receiver: Receiver, reply: Reply, cause: str) -> None:
    assert result_of(receiver, reply) == RetryableFailure(cause)


HINTS = {
    401: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    403: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    404: "; the collector has no pipeline for traces: add one to its configuration, "
    "or the path does not end in /v1/traces",
}
PERMANENT = [400, 413, 422]


@pytest.mark.parametrize("code", [*PERMANENT, 401, 403, 404, 405, 408, 415, 429, 500, 502, 503, 599])
def test_a_status_is_a_permanent_or_a_retryable_failure(receiver: Receiver, code: int) -> None:
    found, cause = result_of(receiver, status(code)), f"HTTP {code}: scripted failure{HINTS.get(code, '')}"
    if code in PERMANENT:
        assert found == PermanentFailure(cause)
    else:
        assert found == RetryableFailure(cause, request_suspect=code == 500)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b" \r\n\t ", "Service Unavailable"),
        (b"\0\x01\x1b", "Service Unavailable"),
        (b"queue is full\n", "queue is full"),
        (b"a\nb\x1b[31mc\0d", "a b [31mc d"),
        ("größe".encode(), "größe"),
        (b"gr\xf6\xdfe", "gr\ufffd\ufffde"),
        # A message Status in protobuf.
        (b"\x08\x0e\x12\x04full", "full"),
        pytest.param(b"x" * 10_000_000, "x" * 400, id="ten megabytes"),
    ],
)
def test_the_text_of_an_error_is_one_short_line(receiver: Receiver, body: bytes, text: str) -> None:
    reply = Reply(503, body=body, content_type="text/plain")
    assert result_of(receiver, reply) == RetryableFailure(f"HTTP 503: {text}")


def test_a_compressed_body_does_not_fill_the_memory(receiver: Receiver) -> None:
    bomb = gzip.compress(b"x" * 400_000_000)
    tracemalloc.start()
    try:
        found = result_of(receiver, Reply(500, {"Content-Encoding": "gzip"}, bomb, "text/plain"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == RetryableFailure(f"HTTP 500: {'x' * 400}", request_suspect=True)
    assert most < 10_000_000


# Retry-After


class Now(datetime):
    """Clock of the tests of dates."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 1, 12, 0, 0, tzinfo=tz)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-3", None),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 12:00:30", 30.0),
        ("Thu, 01 Jan 2026 14:00:30 +0200", 30.0),
        ("Thu, 01 Jan 2026 11:59:59 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Thursday, 01-Jan-26 12:01:00 GMT", 60.0),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("3s", None),
        ("Thu, 01 Jan 99999 12:00:30 GMT", None),
        ("Thu, 45 Foo 2026 12:00:30 GMT", None),
        ("9" * 400, None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, retry_after: str, seconds: float | None
) -> None:
    monkeypatch.setattr(http_client, "datetime", Now)
    for code in (429, 503):
        found = result_of(receiver, status(code, retry_after=retry_after))
        assert found == RetryableFailure(f"HTTP {code}: scripted failure", seconds)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_retry_after_is_a_time_to_come_or_none(receiver: Receiver, text: str) -> None:
    found = result_of(receiver, status(503, retry_after=text))
    assert isinstance(found, RetryableFailure)
    assert found.cause == "HTTP 503: scripted failure"
    assert found.retry_seconds is None or found.retry_seconds >= 0


# Redirects


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(receiver: Receiver, code: int) -> None:
    with Receiver() as elsewhere:
        location = f"{elsewhere.url}/v1/traces"
        assert result_of(receiver, Reply(code, {"Location": location})) == RetryableFailure(
            f"HTTP {code}: redirects to {location}; use that as the endpoint"
        )
        assert (len(receiver.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize(
    ("headers", "shown"),
    [({}, "nowhere"), ({"Location": "/login"}, "/login"), ({"Location": "x" * 1000}, "x" * 400)],
    ids=["none", "a path", "a long one"],
)
def test_a_redirect_may_have_any_location(receiver: Receiver, headers: dict[str, str], shown: str) -> None:
    cause = f"HTTP 302: redirects to {shown}; use that as the endpoint"
    assert result_of(receiver, Reply(302, headers)) == RetryableFailure(cause)


# No response


def test_a_body_that_does_not_end_is_not_waited_for(receiver: Receiver) -> None:
    begin = time.monotonic()
    found = result_of(receiver, slow_drip(), seconds=SOON)
    assert found == RetryableFailure("no answer within 0.3 s", request_suspect=True)
    assert SOON <= time.monotonic() - begin < LATE
    assert receiver.spans == []


def test_headers_that_do_not_end_are_not_waited_for() -> None:
    with (
        dripping(b"HTTP/1.1 200 OK\r\nX: ", repeat(b"x"), DRIP_SECONDS) as url,
        opened(url, seconds=SOON) as client,
    ):
        found = client.send(request())
    assert found == RetryableFailure("no answer within 0.3 s", request_suspect=True)


def test_a_host_that_does_not_accept_is_not_waited_for() -> None:
    with closing(socket.create_server((LOOPBACK, 0), backlog=0)) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(full.getsockname())
        with opened(f"{HERE}:{full.getsockname()[1]}/", seconds=SOON) as client:
            assert client.send(request()) == RetryableFailure("no answer within 0.3 s")
        for each in waiting:
            each.close()


@pytest.mark.parametrize(
    ("reply", "kept"), [(reset(), 0), (reset_after_keeping(), 1)], ids=["before", "after keeping"]
)
def test_a_reset_connection_is_a_failure(receiver: Receiver, reply: Reply, kept: int) -> None:
    assert result_of(receiver, reply) == RetryableFailure("Connection reset by peer")
    assert len(receiver.spans) == kept


def test_a_refused_connection_is_named_without_the_url(receiver: Receiver) -> None:
    receiver.stop()
    with opened(f"{receiver.url.replace('//', f'//user:{SECRET}@')}/v1/traces") as client:
        assert client.send(request()) == RetryableFailure("Connection refused")


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("collector.invalid", "Name or service not known"),
        ("*.example", "URL has an invalid label."),
        ("a..b", "Failed to parse: 'a..b', label empty or too long"),
    ],
)
def test_an_unknown_host_is_named_without_the_url(
    monkeypatch: pytest.MonkeyPatch, host: str, cause: str
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with opened(f"http://user:{SECRET}@{host}:4318/v1/traces") as client:
        assert client.send(request()) == RetryableFailure(cause)


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """Answer one request with these bytes and nothing else; yield the URL."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as sent:
            lengths = [0]
            while (line := sent.readline().lower()).strip():
                lengths += [int(line.split(b":")[1])] if line.startswith(b"content-length:") else []
            sent.read(sum(lengths))
            connection.sendall(content)

    with closing(socket.create_server((LOOPBACK, 0))) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"{HERE}:{listener.getsockname()[1]}/v1/traces"
        thread.join()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(b"", RetryableFailure("Remote end closed connection without response"), id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", Accepted(), id="no length"),
        pytest.param(b"HTTP/1.0 200\r\n\r\n", Accepted(), id="an old version"),
        pytest.param(
            b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", RetryableFailure("HTTP 503: "), id="no reason"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234",
            RetryableFailure("IncompleteRead(4 bytes read, 6 more expected)"),
            id="half a body",
        ),
    ],
)
def test_a_response_may_be_incomplete(content: bytes, found: ExportResult) -> None:
    with answering(content) as url, opened(url) as client:
        assert client.send(request()) == found


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_have_a_result(content: bytes) -> None:
    with answering(content) as url, opened(url, seconds=LATE) as client:
        assert isinstance(client.send(request()), Accepted | PermanentFailure | RetryableFailure)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(503, body=b"x" * 10_000_000, content_type="text/plain"), id="a large body"),
        pytest.param(Reply(body=b"<html>" * 1_000_000), id="a success with a large body"),
        pytest.param(redirect("http://collector.invalid/"), id="redirected"),
        pytest.param(Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}), id="a broken encoding"),
        pytest.param(reset(), id="reset"),
        pytest.param(slow_drip(), id="a body that does not end"),
    ],
)
def test_after_a_failure_the_next_request_is_accepted(receiver: Receiver, reply: Reply) -> None:
    receiver.replies(reply)
    with opened(f"{receiver.url}/v1/traces", seconds=SOON) as client:
        assert not isinstance(client.send(request()), Accepted)
        assert client.send(request(digits="b")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["b" * 32]


# TLS


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path)


@pytest.fixture
def secured(keys: Keys) -> Iterator[Receiver]:
    """A receiver that requires certificates of its clients."""
    with HttpTransport().receiver(keys) as started:
        yield started


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_certificate_of_the_endpoint_precedes_the_environment(
    secured: Receiver, keys: Keys, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, authority_of(keys.stranger))
    trust = {"certificate": authority_of(keys.client), "client": pair(keys.client), "secure": True}
    assert result_of(secured, OK, **trust) == Accepted()


def test_without_a_certificate_the_environment_applies(
    secured: Receiver, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_of(keys.client))
    assert result_of(secured, OK, client=pair(keys.client), secure=True) == Accepted()


def test_a_certificate_file_that_has_gone_is_a_failure(secured: Receiver, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    assert result_of(secured, OK, secure=True, certificate=gone) == RetryableFailure(
        f"Could not find a suitable TLS CA certificate bundle, invalid path: {gone}"
    )
