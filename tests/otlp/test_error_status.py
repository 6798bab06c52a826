"""The error of a collector, whatever it is written in, as one short line."""

import json
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    DebugInfo,
    ErrorInfo,
    Help,
    LocalizedMessage,
    QuotaFailure,
)
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import TelemetrySignal
from exporter.otlp.client import PermanentFailure, RetryableFailure
from exporter.otlp.error_status import ErrorStatus, parse_body, parse_status
from tests.otlp.samples import request
from tests.otlp.transports import GrpcTransport, HttpTransport, Transport, opened
from tests.scripted import grpc_receiver, http_replies
from tests.scripted.grpc_receiver import retry_info

MAX_CHARACTERS = 400
BAD_FIELD = BadRequest(
    field_violations=[
        BadRequest.FieldViolation(field="spans[0].name", description="is empty"),
        BadRequest.FieldViolation(description="too many"),
    ]
)
QUOTA = QuotaFailure(violations=[QuotaFailure.Violation(subject="tenant-1", description="over quota")])


def status_of(message: str, *details: Message) -> Status:
    """Return a Status of INTERNAL."""
    status = Status(code=grpc.StatusCode.INTERNAL.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


@pytest.mark.parametrize(
    ("status", "found"),
    [
        pytest.param(status_of("data refused"), ErrorStatus("data refused"), id="a message"),
        pytest.param(status_of("no\x1b[31m\nsuch\u202e"), ErrorStatus("no [31m such"), id="not printable"),
        pytest.param(status_of("x" * 50_000), ErrorStatus("x" * MAX_CHARACTERS), id="long"),
        pytest.param(
            status_of("bad", BAD_FIELD, QUOTA),
            ErrorStatus("bad; spans[0].name: is empty; too many; tenant-1: over quota"),
            id="what was wrong",
        ),
        pytest.param(
            status_of(
                "full",
                ErrorInfo(reason="LIMITED"),
                DebugInfo(detail="queue 1"),
                LocalizedMessage(message="voll"),
            ),
            ErrorStatus("full; LIMITED; queue 1; voll"),
            id="why",
        ),
        pytest.param(
            status_of("full", LocalizedMessage(message="full")), ErrorStatus("full"), id="the same twice"
        ),
        pytest.param(
            status_of("later", retry_info(2.5), Help()), ErrorStatus("later", 2.5), id="with a pause"
        ),
        pytest.param(status_of("now", retry_info(-3)), ErrorStatus("now", 0.0), id="a pause that is over"),
        pytest.param(status_of(""), ErrorStatus(""), id="no message"),
    ],
)
def test_a_status_is_its_message_and_the_words_of_its_details(status: Status, found: ErrorStatus) -> None:
    assert parse_status(status.SerializeToString()) == found


def test_an_invalid_detail_is_left_out() -> None:
    status = status_of("bad", BAD_FIELD)
    status.details[0].value = b"\x0a\xff"
    assert parse_status(status.SerializeToString()) == ErrorStatus("bad")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (json.dumps({"code": 13, "message": "data\nrefused"}).encode(), "data refused"),
        (b'{"error": "data refused"}', '{"error": "data refused"}'),
        (b'{"message": {"a": 1}}', '{"message": {"a": 1}}'),
        (b'["refused"]', '["refused"]'),
        pytest.param(b"[" * 60_000, "[" * MAX_CHARACTERS, id="deep"),
        (b"data refused\n", "data refused"),
        (b"404 page not found\n", "404 page not found"),
        # Fields that a Status does not have.
        (b"xxxxxxxx", "xxxxxxxx"),
        (b"", ""),
    ],
)
def test_a_body_in_json_or_plain_text_is_shown(body: bytes, text: str) -> None:
    assert parse_body(body) == ErrorStatus(text)


@given(st.binary() | st.text().map(str.encode))
def test_any_body_is_one_short_printable_line(body: bytes) -> None:
    text = parse_body(body).text
    assert len(text) <= MAX_CHARACTERS
    assert text.isprintable()


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_no_plain_text_is_taken_for_a_status(text: str) -> None:
    assert parse_status(text.encode()).text == ""


@pytest.mark.parametrize(
    "content_type", [http_replies.PROTOBUF, "application/octet-stream", "text/plain", ""]
)
def test_over_http_the_text_of_a_status_has_no_byte_too_many(content_type: str) -> None:
    transport = HttpTransport()
    wanted = {
        400: PermanentFailure("HTTP 400: data refused"),
        503: RetryableFailure("HTTP 503: data refused", 5.0),
    }
    with transport.receiver() as receiver, opened(transport, receiver.url) as client:
        for code, found in wanted.items():
            status = status_of("data refused", retry_info(5))
            receiver.replies(http_replies.refused(code, status, content_type=content_type))
            assert client.send(request()) == found


def test_over_grpc_the_details_of_a_status_are_shown() -> None:
    transport = GrpcTransport()
    refusal = grpc_receiver.status(
        grpc.StatusCode.UNAVAILABLE, "busy", retry_after=5, details=(ErrorInfo(reason="LIMITED"),)
    )
    with transport.receiver() as receiver, opened(transport, receiver.url) as client:
        receiver.replies(refusal)
        assert client.send(request()) == RetryableFailure("gRPC UNAVAILABLE: busy; LIMITED", 5.0)


@pytest.mark.parametrize(
    ("transport", "refusal", "shown", "path"),
    [
        (
            HttpTransport(),
            http_replies.status(404),
            "HTTP 404: scripted failure",
            ", or the path does not end in /v1/{signal}",
        ),
        (
            GrpcTransport(),
            grpc_receiver.status(grpc.StatusCode.UNIMPLEMENTED),
            "gRPC UNIMPLEMENTED: scripted failure",
            "",
        ),
    ],
    ids=["http", "grpc"],
)
@pytest.mark.parametrize(
    ("signal", "remedy"),
    [
        (TelemetrySignal.TRACES, "add one to its configuration"),
        (TelemetrySignal.LOGS, "add one to its configuration or set traces.events to spans"),
    ],
)
def test_a_collector_without_a_pipeline_keeps_the_jobs_waiting_and_is_told(  # noqa: PLR0913, PLR0917  # two tables
    transport: Transport,
    refusal: Any,
    shown: str,
    path: str,
    signal: TelemetrySignal,
    remedy: str,
) -> None:
    cause = f"{shown}; the collector has no pipeline for {signal}: {remedy}{path.format(signal=signal)}"
    with transport.receiver() as receiver, opened(transport, receiver.url, signal) as client:
        receiver.replies(refusal)
        assert client.send(request(signal)) == RetryableFailure(cause)
