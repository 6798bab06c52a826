"""What a collector over HTTP is told, and what its answers are taken for."""

import gzip
import json
import re
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, tzinfo
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from exporter import __version__
from exporter.model import TelemetrySignal
from exporter.otlp import http_client
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure
from exporter.otlp.endpoint import Compression, OtlpEndpoint
from exporter.otlp.http_client import OtlpHttpClient
from tests.otlp.samples import request
from tests.otlp.tls import Keys, authority_of, pair
from tests.scripted.http_receiver import LOOPBACK, Receiver
from tests.scripted.http_replies import (
    OK,
    Reply,
    hang,
    html,
    json_ok,
    partial,
    redirect,
    reset,
    reset_after_keeping,
    slow_drip,
    status,
)
from tests.scripted.received import ReceivedRequest

SECRET = "hunter2"  # noqa: S105  # the tests look for it
SOON = 0.3
"""How long a collector that never answers is waited for."""
LATE = 5.0
"""What is over by then has not waited for ever, on the slowest machine."""
NO_OTLP = "HTTP 200 with an answer that is not OTLP; is it a collector?"
HERE = "http://127.0.0.1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@contextmanager
def collector(url: str, **changes: Any) -> Iterator[OtlpHttpClient]:
    """Open a collector, and let go of it."""
    with closing(OtlpHttpClient(OtlpEndpoint(url, **changes))) as opened:
        yield opened


def answer(receiver: Receiver, reply: Reply, **changes: Any) -> ExportResult:
    """Send a span to which is replied so."""
    receiver.replies(reply)
    with collector(f"{receiver.url}/v1/traces", **changes) as opened:
        return opened.send(request())


def plain(cause: ExportResult) -> str:
    """Give a cause without the place in the source of OpenSSL's binding."""
    assert isinstance(cause, RetryableFailure)
    return re.sub(r" \(_ssl\.c:\d+\)", "", cause.cause)


# What is sent


def test_spans_are_posted_and_kept(receiver: Receiver) -> None:
    with collector(f"{receiver.url}/v1/traces") as opened:
        assert opened.send(request(digits="abc")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["a" * 32, "b" * 32, "c" * 32]
    [asked] = receiver.requests
    assert (asked.method, asked.path, asked.spans, asked.records) == ("POST", "/v1/traces", 3, 0)


def test_log_records_are_posted_and_kept(receiver: Receiver) -> None:
    with collector(f"{receiver.url}/v1/logs") as opened:
        assert opened.send(request(TelemetrySignal.LOGS)) == Accepted()
    assert [one.event_name for one in receiver.records] == ["container.start", "container.exit"]
    [asked] = receiver.requests
    assert (asked.method, asked.path, asked.spans, asked.records) == ("POST", "/v1/logs", 0, 2)


def test_the_path_and_the_query_of_the_endpoint_are_asked_for(receiver: Receiver) -> None:
    with collector(f"{receiver.url}/tenant/a/v1/traces") as opened:
        assert opened.send(request()) == Accepted()
    with collector(f"{receiver.url}/in?to=/v1/traces") as opened:
        assert opened.send(request()) == Accepted()
    assert [asked.path for asked in receiver.requests] == ["/tenant/a/v1/traces", "/in?to=/v1/traces"]


def headers_of(asked: ReceivedRequest) -> Mapping[str, str]:
    """Give all headers but those that say where and how much."""
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
        pytest.param({}, {}, id="nothing asked for"),
        pytest.param({"compression": Compression.GZIP}, {"content-encoding": "gzip"}, id="gzip"),
        pytest.param({"compression": Compression.DEFLATE}, {"content-encoding": "deflate"}, id="deflate"),
        pytest.param(
            {"headers": (("authorization", "Bearer token"), ("x-scope-orgid", "tenant 1"), ("x-empty", ""))},
            {"authorization": "Bearer token", "x-scope-orgid": "tenant 1", "x-empty": ""},
            id="headers",
        ),
        pytest.param({"headers": (("user-agent", "me"),)}, {"user-agent": "me"}, id="one of ours"),
    ],
)
def test_headers_are_these_and_no_others(
    receiver: Receiver, changes: dict[str, Any], more: dict[str, str]
) -> None:
    assert answer(receiver, OK, **changes) == Accepted()
    assert [headers_of(asked) for asked in receiver.requests] == [{**BARE, **more}]


@pytest.mark.parametrize("compression", list(Compression))
def test_what_is_compressed_arrives_whole_and_is_smaller(
    receiver: Receiver, compression: Compression
) -> None:
    with collector(f"{receiver.url}/v1/traces", compression=compression) as opened:
        assert opened.send(request(name="x" * 100_000)) == Accepted()
    assert [span.attributes["container.name"] for span in receiver.spans] == ["x" * 100_000]
    assert (receiver.requests[0].size > 100_000) is (compression is Compression.NONE)


def test_a_user_in_the_url_is_basic_authorization(receiver: Receiver) -> None:
    with collector(f"{receiver.url.replace('//', f'//user:{SECRET}@')}/v1/traces") as opened:
        assert opened.send(request()) == Accepted()
    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpodW50ZXIy"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        (f"http://user:{SECRET}@collector:4318/v1/traces", "http://collector:4318/v1/traces"),
        (f"https://{SECRET}@[::1]/v1/traces", "https://[::1]/v1/traces"),
        (f"http://user:@{SECRET}@collector/v1/traces", "http://collector/v1/traces"),
        (f"http://collector/in?token={SECRET}", "http://collector/in"),
    ],
)
def test_the_address_is_the_url_without_what_may_be_secret(url: str, address: str) -> None:
    with collector(url, headers=(("authorization", SECRET),)) as opened:
        assert opened.address == address


# What is accepted


def of_logs(rejected: int, message: str) -> Reply:
    """Reply to log records that so many were rejected."""
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = rejected
    response.partial_success.error_message = message
    return Reply(body=response.SerializeToString(), keep=True)


def of_json(document: object, content_type: str = "application/json") -> Reply:
    """Reply a document."""
    return Reply(body=json.dumps(document).encode(), content_type=content_type)


@pytest.mark.parametrize(
    ("reply", "accepted"),
    [
        pytest.param(OK, Accepted(), id="empty"),
        pytest.param(Reply(202), Accepted(), id="202"),
        pytest.param(Reply(204, content_type="text/html"), Accepted(), id="no content, of any type"),
        pytest.param(partial(1, "too old"), Accepted(1, "too old"), id="some rejected"),
        pytest.param(partial(0, "slow down"), Accepted(0, "slow down"), id="a warning"),
        pytest.param(partial(-1, ""), Accepted(), id="a nonsensical number"),
        pytest.param(partial(2**63 - 1, ""), Accepted(2**63 - 1), id="a nonsensically large number"),
        pytest.param(partial(1, "x" * 10_000), Accepted(1, "x" * 400), id="a long message"),
        pytest.param(Reply(body=partial(2, "m").body, content_type=""), Accepted(2, "m"), id="of no type"),
        pytest.param(
            Reply(body=partial(2, "m").body, content_type="Application/X-Protobuf; charset=x"),
            Accepted(2, "m"),
            id="a type with parameters",
        ),
        pytest.param(json_ok(), Accepted(), id="JSON"),
        pytest.param(of_json({"partialSuccess": None}), Accepted(), id="JSON with nothing"),
        pytest.param(
            of_json({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too old"}}),
            Accepted(3, "too old"),
            id="JSON with a number in quotes, as protobuf has it",
        ),
        pytest.param(
            of_json({"partialSuccess": {"rejectedLogRecords": 4}}, "application/json; charset=utf-8"),
            Accepted(4),
            id="JSON of log records",
        ),
        pytest.param(
            of_json({"partialSuccess": {"errorMessage": "y" * 1000}, "more": 1}),
            Accepted(0, "y" * 400),
            id="JSON with a long message",
        ),
    ],
)
def test_a_response_in_the_protocols_form_means_that_it_was_accepted(
    receiver: Receiver, reply: Reply, accepted: Accepted
) -> None:
    assert answer(receiver, reply) == accepted


def test_log_records_have_a_response_of_their_own(receiver: Receiver) -> None:
    receiver.replies(of_logs(5, "too many"))
    with collector(f"{receiver.url}/v1/logs") as opened:
        assert opened.send(request(TelemetrySignal.LOGS)) == Accepted(5, "too many")


# What is not


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        pytest.param(html(), "HTTP 200 with text/html, which is not OTLP; is it a collector?", id="a page"),
        pytest.param(
            Reply(201, body=b"hello", content_type="text/plain; charset=utf-8"),
            "HTTP 201 with text/plain, which is not OTLP; is it a collector?",
            id="a text",
        ),
        pytest.param(Reply(body=b"<!doctype html>"), NO_OTLP, id="no protobuf"),
        pytest.param(Reply(body=b"<!doctype html>", content_type=""), NO_OTLP, id="of no type"),
        pytest.param(Reply(body=b"{", content_type="application/json"), NO_OTLP, id="no JSON"),
        pytest.param(Reply(body=b"\xff", content_type="application/json"), NO_OTLP, id="no text"),
        pytest.param(Reply(body=b"[" * 60_000, content_type="application/json"), NO_OTLP, id="deep JSON"),
        pytest.param(of_json([]), NO_OTLP, id="JSON of another shape"),
        pytest.param(of_json({"partialSuccess": "x"}), NO_OTLP, id="a partial success that is none"),
        pytest.param(of_json({"partialSuccess": {"rejectedSpans": "x"}}), NO_OTLP, id="no number"),
        pytest.param(of_json({"partialSuccess": {"rejectedSpans": [1]}}), NO_OTLP, id="a list"),
        pytest.param(
            of_json({"partialSuccess": {"rejectedSpans": float("inf")}}), NO_OTLP, id="an infinite number"
        ),
        pytest.param(Reply(body=b"<html>" * 20_000), NO_OTLP, id="more than anybody reads"),
        pytest.param(
            Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}),
            "Error -3 while decompressing data: incorrect header check",
            id="a broken encoding",
        ),
    ],
)
def test_a_success_that_no_collector_would_tell_has_taken_nothing(
    receiver: Receiver, reply: Reply, cause: str
) -> None:
    assert answer(receiver, reply) == RetryableFailure(cause)


HINTS = {
    401: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    403: "; is the token in OTEL_EXPORTER_OTLP_HEADERS right?",
    404: "; does the path end in /v1/traces, or /v1/logs?",
}


@pytest.mark.parametrize("code", [400, 413, 422])
def test_what_is_wrong_with_the_request_is_refused(receiver: Receiver, code: int) -> None:
    assert answer(receiver, status(code, retry_after=5)) == PermanentFailure(f"HTTP {code}: scripted failure")


@pytest.mark.parametrize(
    "code", [401, 402, 403, 404, 405, 408, 409, 411, 415, 429, 431, 500, 501, 502, 503, 504, 599]
)
def test_what_is_wrong_elsewhere_is_tried_again(receiver: Receiver, code: int) -> None:
    assert answer(receiver, status(code)) == RetryableFailure(
        f"HTTP {code}: scripted failure{HINTS.get(code, '')}",
        request_suspect=code == HTTPStatus.INTERNAL_SERVER_ERROR,
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "Service Unavailable", id="nothing"),
        pytest.param(b" \r\n\t ", "Service Unavailable", id="white space"),
        pytest.param(b"\0\x01\x1b", "Service Unavailable", id="nothing that can be shown"),
        pytest.param(b"queue is full\n", "queue is full", id="a line"),
        pytest.param(b"a\nb\x1b[31mc\0d", "a b [31mc d", id="lines and controls"),
        pytest.param("größe".encode(), "größe", id="UTF-8"),
        pytest.param(b"gr\xf6\xdfe", "gr\ufffd\ufffde", id="what is no UTF-8"),
        pytest.param(b"\x08\x0e\x12\x04full", "full", id="a Status of protobuf"),
        pytest.param(b"x" * 10_000_000, "x" * 400, id="ten megabytes"),
    ],
)
def test_what_a_collector_says_of_itself_is_told_in_one_short_line(
    receiver: Receiver, body: bytes, text: str
) -> None:
    reply = Reply(503, body=body, content_type="text/plain")
    assert answer(receiver, reply) == RetryableFailure(f"HTTP 503: {text}")


def test_a_body_that_unpacks_to_very_much_fills_no_memory(receiver: Receiver) -> None:
    bomb = gzip.compress(b"x" * 400_000_000)
    tracemalloc.start()
    try:
        found = answer(receiver, Reply(500, {"Content-Encoding": "gzip"}, bomb, "text/plain"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == RetryableFailure(f"HTTP 500: {'x' * 400}", request_suspect=True)
    assert most < 10_000_000


# When to come again


class Now(datetime):
    """The moment at which the tests of dates are."""

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
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_seconds_or_a_date(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, code: int, retry_after: str, seconds: float | None
) -> None:
    monkeypatch.setattr(http_client, "datetime", Now)
    assert answer(receiver, status(code, retry_after=retry_after)) == RetryableFailure(
        f"HTTP {code}: scripted failure", seconds
    )


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_retry_after_is_a_time_that_is_not_past_or_none(receiver: Receiver, text: str) -> None:
    found = answer(receiver, status(503, retry_after=text))
    assert isinstance(found, RetryableFailure)
    assert found.cause == "HTTP 503: scripted failure"
    assert found.retry_seconds is None or found.retry_seconds >= 0


# Redirects


@pytest.mark.parametrize("code", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_not_followed(receiver: Receiver, code: int) -> None:
    with Receiver() as elsewhere:
        location = f"{elsewhere.url}/v1/traces"
        assert answer(receiver, Reply(code, {"Location": location})) == RetryableFailure(
            f"HTTP {code}: redirects to {location}; use that as the endpoint"
        )
        assert (len(receiver.requests), elsewhere.requests) == (1, [])


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (Reply(304), "HTTP 304: redirects to nowhere; use that as the endpoint"),
        (redirect("/login"), "HTTP 302: redirects to /login; use that as the endpoint"),
        (redirect("x" * 1000), f"HTTP 302: redirects to {'x' * 400}; use that as the endpoint"),
    ],
)
def test_a_redirect_may_lead_anywhere(receiver: Receiver, reply: Reply, cause: str) -> None:
    assert answer(receiver, reply) == RetryableFailure(cause)


# No answer


@pytest.mark.parametrize("reply", [hang(), slow_drip()], ids=["hangs", "drips"])
def test_a_collector_that_does_not_come_to_an_end_is_not_waited_for(receiver: Receiver, reply: Reply) -> None:
    began = time.monotonic()
    assert answer(receiver, reply, seconds=SOON) == RetryableFailure(
        "no answer within 0.3 s", request_suspect=True
    )
    assert SOON <= time.monotonic() - began < LATE
    assert receiver.spans == []


def test_a_host_that_does_not_even_accept_is_not_waited_for() -> None:
    with closing(socket.create_server((LOOPBACK, 0), backlog=0)) as full:
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        with collector(f"{HERE}:{full.getsockname()[1]}/", seconds=SOON) as opened:
            assert opened.send(request()) == RetryableFailure("no answer within 0.3 s")
        for client in waiting:
            client.close()


@pytest.mark.parametrize(
    ("reply", "kept"), [(reset(), 0), (reset_after_keeping(), 1)], ids=["before", "after keeping"]
)
def test_a_connection_that_is_reset_tells_nothing(receiver: Receiver, reply: Reply, kept: int) -> None:
    assert answer(receiver, reply) == RetryableFailure("Connection reset by peer")
    assert len(receiver.spans) == kept


def test_a_refused_connection_says_so_and_nothing_of_the_url(receiver: Receiver) -> None:
    receiver.stop()
    with collector(f"{receiver.url.replace('//', f'//user:{SECRET}@')}/v1/traces") as opened:
        assert opened.send(request()) == RetryableFailure("Connection refused")


def test_a_host_that_nobody_knows_says_so_and_nothing_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with collector(f"http://user:{SECRET}@collector.invalid:4318/v1/traces") as opened:
        assert opened.send(request()) == RetryableFailure("Name or service not known")


@pytest.mark.parametrize(
    ("host", "cause"),
    [
        ("*.example", "URL has an invalid label."),
        ("a..b", "Failed to parse: 'a..b', label empty or too long"),
    ],
)
def test_a_host_that_can_be_none_says_so_and_nothing_of_the_url(host: str, cause: str) -> None:
    with collector(f"http://user:{SECRET}@{host}:4318/v1/traces") as opened:
        assert opened.send(request()) == RetryableFailure(cause)


@contextmanager
def once(said: bytes) -> Iterator[str]:
    """Serve one request with these bytes and nothing else; give the URL."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as sent:
            lengths = [0]
            while (line := sent.readline().lower()).strip():
                lengths += [int(line.split(b":")[1])] if line.startswith(b"content-length:") else []
            sent.read(sum(lengths))
            connection.sendall(said)

    with closing(socket.create_server((LOOPBACK, 0))) as listener:
        thread = Thread(target=serve)
        thread.start()
        yield f"{HERE}:{listener.getsockname()[1]}/v1/traces"
        thread.join()


@pytest.mark.parametrize(
    ("said", "found"),
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
def test_whatever_is_said_is_an_answer(said: bytes, found: ExportResult) -> None:
    with once(said) as url, collector(url) as opened:
        assert opened.send(request()) == found


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_at_all_are_an_answer(said: bytes) -> None:
    with once(said) as url, collector(url, seconds=LATE) as opened:
        assert isinstance(opened.send(request()), Accepted | PermanentFailure | RetryableFailure)


# And again


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(status(400), id="refused"),
        pytest.param(status(503, retry_after=5), id="unavailable"),
        pytest.param(Reply(503, body=b"x" * 10_000_000, content_type="text/plain"), id="much to say"),
        pytest.param(Reply(body=b"<html>" * 1_000_000), id="a success with much to say"),
        pytest.param(redirect("http://collector.invalid/"), id="redirected"),
        pytest.param(html(), id="a page"),
        pytest.param(Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"}), id="a broken encoding"),
        pytest.param(reset(), id="reset"),
        pytest.param(hang(), id="hangs"),
        pytest.param(slow_drip(), id="drips"),
    ],
)
def test_after_any_failure_the_next_request_is_accepted(receiver: Receiver, reply: Reply) -> None:
    receiver.replies(reply)
    with collector(f"{receiver.url}/v1/traces", seconds=SOON) as opened:
        assert not isinstance(opened.send(request()), Accepted)
        assert opened.send(request(digits="b")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["b" * 32]


def test_a_collector_that_comes_back_is_reached_again(receiver: Receiver) -> None:
    with collector(f"{receiver.url}/v1/traces") as opened:
        assert opened.send(request()) == Accepted()
        receiver.stop()
        assert isinstance(opened.send(request()), RetryableFailure)
        assert opened.send(request()) == RetryableFailure("Connection refused")
        receiver.start()
        assert opened.send(request(digits="b")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["a" * 32, "b" * 32]


# TLS


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path)


@pytest.fixture
def secured(keys: Keys) -> Iterator[Receiver]:
    """A receiver that asks its clients for a certificate too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(keys.server))
    context.load_verify_locations(authority_of(keys.server))
    context.verify_mode = ssl.CERT_REQUIRED
    # In later versions a client learns only afterwards that its certificate was not liked.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Receiver(tls=context) as started:
        yield started


def test_with_an_own_authority_and_a_client_certificate_spans_are_accepted(
    secured: Receiver, keys: Keys
) -> None:
    trusted = {"certificate": authority_of(keys.client), "client": pair(keys.client), "secure": True}
    assert answer(secured, OK, **trusted) == Accepted()
    assert len(secured.spans) == 1


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_authority_of_the_endpoint_stands_before_those_of_the_environment(
    secured: Receiver, keys: Keys, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, authority_of(keys.stranger))
    trusted = {"certificate": authority_of(keys.client), "client": pair(keys.client), "secure": True}
    assert answer(secured, OK, **trusted) == Accepted()


def test_without_an_authority_of_its_own_those_of_the_environment_hold(
    secured: Receiver, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_of(keys.client))
    assert answer(secured, OK, client=pair(keys.client), secure=True) == Accepted()


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        pytest.param(
            lambda keys: {"client": pair(keys.client)},
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
            "self-signed certificate in certificate chain",
            id="an unknown authority",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.stranger), "client": pair(keys.client)},
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
            "self-signed certificate in certificate chain",
            id="another authority",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.client)},
            "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure",
            id="no client certificate",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.client), "client": pair(keys.stranger)},
            "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca",
            id="the certificate of a stranger",
        ),
        pytest.param(
            lambda keys: {
                "certificate": authority_of(keys.client),
                "client": (pair(keys.client)[0], pair(keys.stranger)[1]),
            },
            "[X509: KEY_VALUES_MISMATCH] key values mismatch",
            id="another key",
        ),
        pytest.param(
            lambda keys: {"certificate": pair(keys.client)[1]},
            "[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found",
            id="an authority that is none",
        ),
    ],
)
def test_without_mutual_trust_nothing_is_sent(
    secured: Receiver, keys: Keys, changes: Callable[[Keys], dict[str, Any]], cause: str
) -> None:
    assert plain(answer(secured, OK, secure=True, **changes(keys))) == cause
    assert secured.requests == []


def test_a_file_that_has_gone_is_an_answer_too(secured: Receiver, tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    assert answer(secured, OK, secure=True, certificate=gone) == RetryableFailure(
        f"Could not find a suitable TLS CA certificate bundle, invalid path: {gone}"
    )


def test_a_collector_without_tls_is_not_told_by_who_wants_it(receiver: Receiver) -> None:
    with collector(f"{receiver.url.replace('http', 'https')}/v1/traces", secure=True) as opened:
        assert plain(opened.send(request())) == "[SSL: WRONG_VERSION_NUMBER] wrong version number"


def test_a_collector_with_tls_does_not_understand_who_speaks_without(secured: Receiver) -> None:
    with collector(f"{secured.url.replace('https', 'http')}/v1/traces") as opened:
        assert opened.send(request()) == RetryableFailure("Remote end closed connection without response")
