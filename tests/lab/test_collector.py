"""The collector forwards what it is sent as it was, and the scripted receivers reply as they are told."""

import gzip
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status as RpcStatus  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, set_span_in_context
from requests.exceptions import ChunkedEncodingError, ReadTimeout, SSLError
from requests.exceptions import ConnectionError as ConnectionFailedError

from tests.integration.keys import Authority
from tests.lab.collector import Collector
from tests.lab.errors import LabError
from tests.scripted import grpc_receiver
from tests.scripted import http_replies as replies
from tests.scripted.grpc_receiver import GrpcReceiver
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import OK, PROTOBUF, Reply, hang
from tests.scripted.received import ReceivedRecord, ReceivedSpan
from tests.scripted.receiver_script import ScriptedReceiver

START = 1_700_000_000_123_456_789
TRACE_ID = bytes(range(16))
SPAN_ID = bytes(range(8))
TIMEOUT = 0.5
"""How long a client here waits for the next byte of a reply; all but a reply that hangs come at once."""

AT_ONCE = 2.0
"""What takes no longer has not waited for anybody's patience to end."""


@pytest.fixture
def behind() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def grpc_behind() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as running:
        yield running


@pytest.fixture
def collector(behind: Receiver, tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path, behind.url) as running:
        yield running


def by_http(collector: Collector) -> SpanExporter:
    return HttpExporter(collector.http_url + "/v1/traces")


def by_grpc(collector: Collector) -> SpanExporter:
    return GrpcExporter(collector.grpc_url, insecure=True)


def span_request(*names: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    for name in names:
        scoped.spans.add(trace_id=TRACE_ID, span_id=SPAN_ID, name=name, start_time_unix_nano=START)
    return request


def log_request(*names: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "lab"
    scoped = group.scope_logs.add()
    scoped.scope.name = "tests"
    for name in names:
        record = scoped.log_records.add(trace_id=TRACE_ID, span_id=SPAN_ID, event_name=name)
        record.time_unix_nano, record.observed_time_unix_nano = START, START + 1
        record.severity_number = SeverityNumber.SEVERITY_NUMBER_ERROR
        record.body.string_value = "it ended"
        record.attributes.add(key="exit.code").value.int_value = 137
    return request


def post(url: str, content: Any, *, verify: bool | str = True, **headers: str) -> requests.Response:
    """Post a message to where it belongs, or bytes as spans; `content_encoding` is Content-Encoding."""
    path = "/v1/logs" if isinstance(content, ExportLogsServiceRequest) else "/v1/traces"
    body = content if isinstance(content, bytes) else content.SerializeToString()
    named = {"Content-Type": PROTOBUF} | {name.replace("_", "-"): words for name, words in headers.items()}
    with session() as asking:
        asking.verify = verify
        return asking.post(url + path, data=body, headers=named, timeout=TIMEOUT, allow_redirects=False)


def session() -> requests.Session:
    """Give a client that asks no proxy of the environment."""
    asking = requests.Session()
    asking.trust_env = False
    return asking


def names(asked: ScriptedReceiver[Any]) -> list[str]:
    return [span.name for span in asked.spans]


# --- the collector


@pytest.mark.parametrize("exporter", [by_http, by_grpc])
def test_a_span_arrives_as_it_was_sent(
    collector: Collector, behind: Receiver, exporter: Callable[[Collector], SpanExporter]
) -> None:
    """The collector changes nothing: every field of a request arrives with the value that was sent."""
    provider = TracerProvider(
        resource=Resource({"service.name": "lab"}), span_limits=SpanLimits(max_events=1)
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter(collector)))
    parent, child = two_spans(provider)
    provider.shutdown()
    received = {span.span_id: span for span in behind.wait_for_spans(2)}
    assert received[hex_ids(parent)[1]].parent_span_id == ""
    trace_id, span_id = hex_ids(child)
    assert received[span_id] == ReceivedSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=hex_ids(parent)[1],
        name="a job",
        kind=5,
        start_ns=START,
        end_ns=START + 3,
        status_code=2,
        status_message="killed",
        attributes={"words": ["a", "ö"], "code": -137, "oom": True, "share": 0.1, "none": ""},
        events=[("second", START + 2, {"memory": 2**40})],
        dropped_events=1,
        resource={"service.name": "lab"},
        scope="tests",
        # That it is known whether the parent is of another process, and that it is not.
        flags=0x100,
    )


def two_spans(provider: TracerProvider) -> tuple[ReadableSpan, ReadableSpan]:
    tracer = provider.get_tracer("tests")
    parent = tracer.start_span("a parent", start_time=START - 1)
    child = tracer.start_span(
        "a job",
        set_span_in_context(parent),
        SpanKind.CONSUMER,
        {"words": ["a", "ö"], "code": -137, "oom": True, "share": 0.1, "none": ""},
        start_time=START,
    )
    child.add_event("first", timestamp=START + 1)
    child.add_event("second", {"memory": 2**40}, START + 2)
    child.set_status(Status(StatusCode.ERROR, "killed"))
    child.end(START + 3)
    parent.end(START + 4)
    assert isinstance(parent, ReadableSpan)
    assert isinstance(child, ReadableSpan)
    return parent, child


def hex_ids(span: ReadableSpan) -> tuple[str, str]:
    context = span.context
    assert isinstance(context, SpanContext)
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


EXPECTED_RECORD = ReceivedRecord(
    event_name="container.exit",
    time_ns=START,
    observed_ns=START + 1,
    severity_number=17,
    body="it ended",
    attributes={"exit.code": 137},
    trace_id=TRACE_ID.hex(),
    span_id=SPAN_ID.hex(),
    resource={"service.name": "lab"},
    scope="tests",
)


def test_a_log_record_arrives_as_it_was_sent(collector: Collector, behind: Receiver) -> None:
    assert post(collector.http_url, log_request("container.exit")).ok
    assert behind.wait_for_records(1) == [EXPECTED_RECORD]


def test_what_it_accepted_is_forwarded_before_its_end(collector: Collector, behind: Receiver) -> None:
    post(collector.http_url, span_request("last"))
    collector.stop()
    assert names(behind) == ["last"]


def test_what_is_refused_at_first_is_forwarded_later(collector: Collector, behind: Receiver) -> None:
    behind.replies(replies.status(503), replies.status(429))
    post(collector.http_url, span_request("patient"))
    assert [span.name for span in behind.wait_for_spans(1)] == ["patient"]
    assert len(behind.requests) == 3


@pytest.mark.parametrize("end", [Collector.stop, Collector.kill])
def test_while_it_is_away_it_refuses_and_then_it_is_back_where_it_was(
    collector: Collector, behind: Receiver, end: Callable[[Collector], None]
) -> None:
    end(collector)
    assert not collector.process.alive
    for url in (collector.http_url, collector.grpc_url):
        with pytest.raises(ConnectionFailedError, match="refused"):
            post(url, span_request("lost"))
    collector.start()
    post(collector.http_url, span_request("back"))
    assert [span.name for span in behind.wait_for_spans(1)] == ["back"]


def test_without_a_receiver_it_accepts_all_the_same(tmp_path: Path) -> None:
    with Collector(tmp_path) as collector:
        assert post(collector.http_url, span_request("nowhere")).ok


def test_one_that_does_not_start_says_why(tmp_path: Path) -> None:
    refused = Collector(tmp_path, arguments=["--no-such-option"])
    with pytest.raises(LabError, match=r"ended with 2; [\s\S]*--no-such-option"), refused:
        pass


# --- the receiver for HTTP: what it takes


def test_what_is_accepted_is_kept_and_answered_with_an_empty_response(behind: Receiver) -> None:
    answer = post(behind.url, span_request("a", "b"))
    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, PROTOBUF, b"")
    post(behind.url, log_request("container.exit"))
    assert (names(behind), behind.records) == (["a", "b"], [EXPECTED_RECORD])
    first, second = behind.requests
    assert (first.method, first.path, first.spans, first.records) == ("POST", "/v1/traces", 2, 0)
    assert (second.path, second.spans, second.records) == ("/v1/logs", 0, 1)
    assert first.headers["content-type"] == PROTOBUF
    assert first.size == int(first.headers["content-length"])
    assert first.moment < second.moment


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_understood(
    behind: Receiver, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(span_request("small").SerializeToString())
    assert post(behind.url, body, content_encoding=encoding).ok
    assert names(behind) == ["small"]


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"\xff", {}, 400),
        (b"\xff", {"content_encoding": "gzip"}, 400),
        (b"\xff", {"content_encoding": "deflate"}, 400),
        (b"", {"content_encoding": "br"}, 415),
        (b"{}", {"content_type": "application/json"}, 415),
    ],
)
def test_what_is_no_otlp_in_protobuf_is_refused_and_noted(
    behind: Receiver, body: bytes, headers: dict[str, str], code: int
) -> None:
    assert post(behind.url, body, **headers).status_code == code
    assert (behind.spans, len(behind.requests)) == ([], 1)


def test_other_paths_and_methods_are_refused_and_noted(behind: Receiver) -> None:
    with session() as asking:
        assert asking.post(behind.url + "/v1/metrics", timeout=TIMEOUT).status_code == 404
        assert asking.get(behind.url + "/v1/traces", timeout=TIMEOUT).status_code == 405
    assert [(asked.method, asked.path) for asked in behind.requests] == [
        ("POST", "/v1/metrics"),
        ("GET", "/v1/traces"),
    ]


def test_a_path_may_lead_to_the_receiver(behind: Receiver) -> None:
    assert post(behind.url + "/of/a/proxy", span_request("a")).ok
    assert behind.requests[0].path == "/of/a/proxy/v1/traces"


def test_it_is_asked_over_tls_where_it_has_a_certificate(tmp_path: Path) -> None:
    place = Authority.create("the receiver's").equip_server(tmp_path / "keys")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert.pem", place / "key.pem")
    with Receiver(tls=context) as secured:
        assert secured.url.startswith("https://")
        with pytest.raises(SSLError):
            post(secured.url, span_request("distrustful"))
        assert post(secured.url, span_request("trusting"), verify=str(place / "ca.pem")).ok
        secured.replies(replies.reset())
        # Python's ssl tells of a reset as of any other end.
        with pytest.raises(ConnectionFailedError, match="aborted"):
            post(secured.url, span_request("reset"), verify=str(place / "ca.pem"))
        assert names(secured) == ["trusting"]


# --- the receiver for HTTP: what it replies


@pytest.mark.parametrize(
    ("reply", "told", "kept"),
    [
        (OK, (200, "Content-Type", PROTOBUF, b""), ["a", "b"]),
        (replies.status(503), (503, "Content-Type", "text/plain", b"scripted failure\n"), []),
        (replies.status(429, retry_after=2), (429, "Retry-After", "2", b"scripted failure\n"), []),
        (replies.redirect("http://else.invalid/"), (302, "Location", "http://else.invalid/", b""), []),
        (replies.html(), (200, "Content-Type", "text/html", replies.html().body), []),
        (replies.json_ok(), (200, "Content-Type", "application/json", b"{}"), ["a", "b"]),
    ],
    ids=["ok", "status", "retry-after", "redirect", "html", "json"],
)
def test_a_reply_is_given_once_and_then_the_usual_one(
    behind: Receiver, reply: Reply, told: tuple[int, str, str, bytes], kept: list[str]
) -> None:
    behind.replies(reply)
    code, header, content, body = told
    answer = post(behind.url, span_request("a", "b"))
    assert (answer.status_code, answer.headers[header], answer.content) == (code, content, body)
    assert names(behind) == kept
    assert post(behind.url, span_request("c")).content == b""
    assert names(behind) == [*kept, "c"]


def test_what_has_no_retry_after_has_none(behind: Receiver) -> None:
    behind.replies(replies.status(503))
    assert "Retry-After" not in post(behind.url, span_request("a")).headers


def test_a_part_is_kept_and_the_other_said_to_be_rejected(behind: Receiver) -> None:
    behind.otherwise(replies.partial(1, "too old"))
    answer = ExportTraceServiceResponse.FromString(post(behind.url, span_request("a", "b")).content)
    assert (answer.partial_success.rejected_spans, answer.partial_success.error_message) == (1, "too old")
    of_logs = ExportLogsServiceResponse.FromString(post(behind.url, log_request("c", "d")).content)
    assert (of_logs.partial_success.rejected_log_records, names(behind)) == (1, ["b"])
    assert [record.event_name for record in behind.records] == ["d"]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [(replies.reset(), []), (replies.reset_after_keeping(), ["a"])],
    ids=["lost", "kept"],
)
def test_a_reset_is_no_reply_whatever_is_kept(behind: Receiver, reply: Reply, kept: list[str]) -> None:
    behind.replies(reply)
    with pytest.raises(ConnectionFailedError, match="reset by peer"):
        post(behind.url, span_request("a"))
    assert names(behind) == kept


def test_a_reply_that_hangs_comes_when_it_is_released(behind: Receiver) -> None:
    behind.replies(hang(), hang(replies.status(503)))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, behind.url, span_request("held"))
        behind.wait_for_requests(1)
        assert not first.done()
        assert behind.spans == []
        behind.release()
        assert first.result().ok
        second = pool.submit(post, behind.url, span_request("refused"))
        behind.wait_for_requests(2)
        behind.release()
        assert second.result().status_code == 503
    assert names(behind) == ["held"]


def test_who_hangs_up_is_not_kept_by_a_later_release(behind: Receiver) -> None:
    behind.replies(hang())
    with pytest.raises(ReadTimeout):
        post(behind.url, span_request("impatient"))
    behind.release()
    post(behind.url, span_request("next"))
    assert names(behind) == ["next"]


def test_a_reply_that_drips_does_not_end_and_is_never_silent(behind: Receiver) -> None:
    behind.replies(replies.slow_drip())
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(post, behind.url, span_request("slow"))
        with pytest.raises(TimeoutError):
            asked.result(2 * TIMEOUT)
        behind.release()
        with pytest.raises(ChunkedEncodingError, match="IncompleteRead"):
            asked.result()
    assert behind.spans == []


@pytest.mark.parametrize("reply", [hang(), replies.slow_drip()], ids=["hang", "drip"])
def test_it_ends_at_once_whatever_hangs(reply: Reply) -> None:
    with ThreadPoolExecutor() as pool:
        with Receiver() as ending:
            ending.replies(reply)
            asked = pool.submit(post, ending.url, span_request("held"))
            ending.wait_for_requests(1)
            began = time.monotonic()
        assert time.monotonic() - began < AT_ONCE
        with pytest.raises((ConnectionFailedError, ChunkedEncodingError)):
            asked.result()
    assert ending.spans == []


def test_a_callable_judges_what_was_sent(behind: Receiver) -> None:
    behind.otherwise(lambda spans: replies.status(400) if any(span.name == "bad" for span in spans) else OK)
    codes = [post(behind.url, span_request(*sent)).status_code for sent in (("a", "bad"), ("b",))]
    assert (codes, names(behind)) == ([400, 200], ["b"])


def test_a_mistake_in_a_script_is_raised_at_the_end() -> None:
    with pytest.raises(LookupError, match="culprit"):
        ask_by_mistake()


def ask_by_mistake() -> None:
    def mistaken(spans: list[ReceivedSpan]) -> Reply:
        raise LookupError(spans[0].name)

    with Receiver() as ending:
        ending.otherwise(mistaken)
        with pytest.raises(ConnectionFailedError):
            post(ending.url, span_request("culprit"))


def test_it_goes_away_and_comes_back_where_it_was_with_what_it_has(behind: Receiver) -> None:
    url = behind.url
    with session() as kept_open:
        kept_open.post(url + "/v1/traces", headers={"Content-Type": PROTOBUF}, timeout=TIMEOUT)
        post(url, span_request("before"))
        behind.stop()
        with pytest.raises(ConnectionFailedError, match="refused"):
            post(url, span_request("lost"))
        behind.start()
    post(url, span_request("after"))
    assert (behind.url, names(behind)) == (url, ["before", "after"])
    with pytest.raises(OSError, match="in use"):
        Receiver(port=int(url.rpartition(":")[2]))


def test_a_wait_for_what_does_not_come_says_what_came(behind: Receiver) -> None:
    post(behind.url, span_request("one"))
    with pytest.raises(TimeoutError, match="for 2 spans, 1 came"):
        behind.wait_for_spans(2, seconds=0.05)


# --- the receiver for gRPC


def send(url: str, message: Any, timeout: float = 10) -> Any:
    """Ask by gRPC."""
    of_logs = isinstance(message, ExportLogsServiceRequest)
    with grpc.insecure_channel(url.removeprefix("http://")) as channel:
        stub: Any = LogsServiceStub(channel) if of_logs else TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        return stub.Export(message, timeout=timeout, metadata=(("tenant", "lab"),))


def test_grpc_what_is_accepted_is_kept_and_answered_with_an_empty_response(grpc_behind: GrpcReceiver) -> None:
    assert send(grpc_behind.url, span_request("a")) == ExportTraceServiceResponse()
    assert send(grpc_behind.url, log_request("container.exit")) == ExportLogsServiceResponse()
    assert (names(grpc_behind), grpc_behind.records) == (["a"], [EXPECTED_RECORD])
    first, second = grpc_behind.requests
    assert (first.path, first.spans, first.headers["tenant"]) == (grpc_receiver.TRACES_PATH, 1, "lab")
    assert (second.path, second.records) == (grpc_receiver.LOGS_PATH, 1)


def test_grpc_the_collector_takes_log_records_too(collector: Collector, behind: Receiver) -> None:
    send(collector.grpc_url, log_request("container.exit"))
    assert behind.wait_for_records(1) == [EXPECTED_RECORD]


def test_grpc_a_status_is_seen_and_nothing_is_kept(grpc_behind: GrpcReceiver) -> None:
    grpc_behind.replies(grpc_receiver.status(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", retry_after=1.5))
    with pytest.raises(grpc.RpcError) as refused:
        send(grpc_behind.url, span_request("a"))
    error: Any = refused.value
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
    told = RpcStatus.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    again = RetryInfo()
    assert told.details[0].Unpack(again)
    assert (again.retry_delay.ToMilliseconds(), grpc_behind.spans) == (1500, [])


def test_grpc_a_status_after_keeping_leaves_the_client_in_the_dark(grpc_behind: GrpcReceiver) -> None:
    grpc_behind.replies(grpc_receiver.status(grpc.StatusCode.UNAVAILABLE, keep=True))
    with pytest.raises(grpc.RpcError, match="scripted failure"):
        send(grpc_behind.url, span_request("a"))
    assert names(grpc_behind) == ["a"]


def test_grpc_a_part_is_kept_and_the_other_said_to_be_rejected(grpc_behind: GrpcReceiver) -> None:
    grpc_behind.otherwise(lambda spans: grpc_receiver.partial(1, f"of {len(spans)}"))
    answer = send(grpc_behind.url, span_request("a", "b")).partial_success
    assert (answer.rejected_spans, answer.error_message, names(grpc_behind)) == (1, "of 2", ["b"])
    of_logs = send(grpc_behind.url, log_request("c", "d")).partial_success
    assert (of_logs.rejected_log_records, len(grpc_behind.records)) == (1, 1)


def test_grpc_a_reply_that_hangs_comes_when_it_is_released(grpc_behind: GrpcReceiver) -> None:
    grpc_behind.replies(grpc_receiver.hang(), grpc_receiver.hang())
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        send(grpc_behind.url, span_request("impatient"), timeout=TIMEOUT)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(send, grpc_behind.url, span_request("held"))
        grpc_behind.wait_for_requests(2)
        assert not asked.done()
        grpc_behind.release()
        asked.result()
    assert names(grpc_behind) == ["held"]


def test_grpc_it_goes_away_and_comes_back_where_it_was_with_what_it_has(grpc_behind: GrpcReceiver) -> None:
    send(grpc_behind.url, span_request("before"))
    grpc_behind.replies(grpc_receiver.hang())
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(send, grpc_behind.url, span_request("held"))
        grpc_behind.wait_for_requests(2)
        began = time.monotonic()
        grpc_behind.stop()
        assert time.monotonic() - began < AT_ONCE
        with pytest.raises(grpc.RpcError):
            asked.result()
    with pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
        send(grpc_behind.url, span_request("lost"))
    grpc_behind.start()
    send(grpc_behind.url, span_request("after"))
    assert names(grpc_behind) == ["before", "after"]
