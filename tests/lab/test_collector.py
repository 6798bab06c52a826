"""Contract of a collector's OTLP interface, checked on a real collector and on the scripted receivers."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from tests.lab.collector import Collector
from tests.scripted.grpc_receiver import LOGS_PATH, TRACES_PATH, GrpcReceiver
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import PROTOBUF
from tests.scripted.received import ReceivedSpan

START_NS = 1_700_000_000_123_456_789
TIMEOUT = 10.0
ATTRIBUTES: dict[str, Any] = {"words": ["a", "ö"], "code": -137, "oom": True, "share": 0.1, "none": ""}


def span_request() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=bytes(range(16)), span_id=bytes(range(8)), name="job", start_time_unix_nano=START_NS)
    return request


def log_request() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name="container.exit")
    return request


SPANS, LOGS = span_request().SerializeToString(), log_request().SerializeToString()


# --- OTLP over HTTP


@pytest.fixture(params=["real", "scripted"])
def http_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "real":
        with Collector(tmp_path) as collector:
            yield collector.http_url
    else:
        with Receiver() as receiver:
            yield receiver.url


def post(url: str, body: bytes, **headers: str) -> requests.Response:
    named = {"Content-Type": PROTOBUF} | {name.replace("_", "-"): value for name, value in headers.items()}
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, data=body, headers=named, timeout=TIMEOUT)


@pytest.mark.parametrize(("path", "body"), [("/v1/traces", SPANS), ("/v1/logs", LOGS)])
def test_http_an_accepted_request_gets_an_empty_response(http_url: str, path: str, body: bytes) -> None:
    response = post(http_url + path, body)
    answer = response.status_code, response.headers["Content-Type"], response.content
    assert answer == (200, PROTOBUF, b"")


def test_http_gzip_is_accepted(http_url: str) -> None:
    assert post(f"{http_url}/v1/traces", gzip.compress(SPANS), content_encoding="gzip").status_code == 200


def test_http_a_request_without_content_is_accepted(http_url: str) -> None:
    assert post(f"{http_url}/v1/traces", b"").status_code == 200


@pytest.mark.parametrize("headers", [{}, {"content_encoding": "gzip"}], ids=["plain", "gzip"])
def test_http_a_broken_body_is_a_bad_request(http_url: str, headers: dict[str, str]) -> None:
    assert post(f"{http_url}/v1/traces", b"\xff", **headers).status_code == 400


def test_http_another_path_is_not_found(http_url: str) -> None:
    assert post(f"{http_url}/v1/nothing", SPANS).status_code == 404


# --- OTLP over gRPC


@pytest.fixture(params=["real", "scripted"])
def channel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[grpc.Channel]:
    if request.param == "real":
        with Collector(tmp_path) as collector, connect(collector.grpc_url) as open_channel:
            yield open_channel
    else:
        with GrpcReceiver() as receiver, connect(receiver.url) as open_channel:
            yield open_channel


def connect(url: str) -> grpc.Channel:
    return grpc.insecure_channel(url.removeprefix("http://"))


def call(channel: grpc.Channel, method: str, body: bytes, **options: Any) -> bytes:
    """Call a method with raw messages; raise `grpc.RpcError` if it is refused."""
    send = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    response: bytes = send(body, timeout=TIMEOUT, **options)
    return response


@pytest.mark.parametrize(("method", "body"), [(TRACES_PATH, SPANS), (LOGS_PATH, LOGS)])
def test_grpc_an_accepted_request_gets_an_empty_response(
    channel: grpc.Channel, method: str, body: bytes
) -> None:
    assert call(channel, method, body) == b""


def test_grpc_gzip_is_accepted(channel: grpc.Channel) -> None:
    assert call(channel, TRACES_PATH, SPANS, compression=grpc.Compression.Gzip) == b""


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        (TRACES_PATH, b"\xff", grpc.StatusCode.INTERNAL),
        (f"{TRACES_PATH}Nothing", SPANS, grpc.StatusCode.UNIMPLEMENTED),
    ],
    ids=["broken message", "unknown method"],
)
def test_grpc_an_unusable_request_is_refused(
    channel: grpc.Channel, method: str, body: bytes, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, method, body)
    error: Any = refused.value
    assert error.code() is code


# --- spans of the OpenTelemetry SDK


def export(exporter: SpanExporter) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "lab"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    span = tracer.start_span("job", kind=SpanKind.CONSUMER, attributes=ATTRIBUTES, start_time=START_NS)
    span.add_event("container.exit", {"memory": 2**40}, START_NS + 2)
    span.set_status(Status(StatusCode.ERROR, "killed"))
    span.end(START_NS + 3)
    provider.shutdown()


def check(span: ReceivedSpan) -> None:
    """Compare the span with what `export` sends."""
    assert span == ReceivedSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id="",
        name="job",
        kind=5,
        start_ns=START_NS,
        end_ns=START_NS + 3,
        status_code=2,
        status_message="killed",
        attributes=ATTRIBUTES,
        events=[("container.exit", START_NS + 2, {"memory": 2**40})],
        dropped_events=0,
        resource={"service.name": "lab"},
        scope="tests",
        flags=0x100,
    )
    assert (len(span.trace_id), len(span.span_id)) == (32, 16)


def test_the_scripted_receivers_decode_every_field_of_a_span() -> None:
    with Receiver() as receiver:
        export(HttpExporter(f"{receiver.url}/v1/traces"))
        check(*receiver.wait_for_spans(1))
    with GrpcReceiver() as grpc_receiver:
        export(GrpcExporter(grpc_receiver.url, insecure=True))
        check(*grpc_receiver.wait_for_spans(1))


def test_the_collector_forwards_every_field_of_a_span(tmp_path: Path) -> None:
    with Receiver() as receiver, Collector(tmp_path, receiver.url) as collector:
        export(HttpExporter(f"{collector.http_url}/v1/traces"))
        check(*receiver.wait_for_spans(1))
