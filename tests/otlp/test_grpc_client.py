"""OTLP over gRPC: statuses, addresses, and the life of a channel."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

from exporter import __version__
from exporter.model import TelemetrySignal
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure
from exporter.otlp.endpoint import OtlpEndpoint, OtlpProtocol
from exporter.otlp.grpc_client import OtlpGrpcClient
from exporter.otlp.variables import OtelConfigError
from tests.otlp.samples import request
from tests.otlp.transports import GrpcTransport, export
from tests.scripted.grpc_receiver import (
    LOGS_PATH,
    OK,
    TRACES_PATH,
    GrpcReceiver,
    GrpcReply,
    Traces,
    hang,
    partial,
    status,
)
from tests.scripted.http_receiver import LOOPBACK

SECRET = "hunter2"  # noqa: S105  # the tests look for it
SOON, LATE = 0.3, 5.0


@pytest.fixture
def receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as started:
        yield started


def target_of(receiver: GrpcReceiver) -> str:
    """Return the address of a receiver as gRPC writes it."""
    return receiver.url.partition("//")[2]


@contextmanager
def opened(target: str, **changes: Any) -> Iterator[OtlpGrpcClient]:
    """Open a client, and close it."""
    with closing(OtlpGrpcClient(OtlpEndpoint(target, OtlpProtocol.GRPC, **changes))) as client:
        yield client


def result_of(receiver: GrpcReceiver, reply: GrpcReply, **changes: Any) -> ExportResult:
    """Return what a reply means."""
    return export(GrpcTransport(), receiver, reply, **changes)


def test_one_channel_serves_both_signals(receiver: GrpcReceiver) -> None:
    signals = (TelemetrySignal.TRACES, TelemetrySignal.LOGS, TelemetrySignal.TRACES)
    with opened(target_of(receiver)) as client:
        assert [client.send(request(signal)) for signal in signals] == [Accepted()] * 3
    assert [asked.path for asked in receiver.requests] == [TRACES_PATH, LOGS_PATH, TRACES_PATH]


@pytest.mark.parametrize(
    "headers", [(), (("authorization", "Bearer token"), ("x-scope-orgid", "tenant 1"), ("x-empty", ""))]
)
def test_the_metadata_is_this_and_no_other(
    receiver: GrpcReceiver, headers: tuple[tuple[str, str], ...]
) -> None:
    assert result_of(receiver, OK, headers=headers) == Accepted()
    [asked] = receiver.requests
    agent, _, library = asked.headers["user-agent"].partition(" ")
    assert (agent, library.partition("/")[0]) == (f"exit-exporter/{__version__}", "grpc-python")
    assert {**asked.headers, "user-agent": ""} == {**dict(headers), "user-agent": ""}


def test_the_address_is_the_target() -> None:
    with opened("collector:4317", headers=(("authorization", SECRET),)) as client:
        assert client.address == "collector:4317 (without TLS)"
    with opened("collector:4317", secure=True) as client:
        assert client.address == "collector:4317 (with TLS)"


def test_a_unix_socket_is_a_target(receiver: GrpcReceiver) -> None:
    # In a directory with a short name: the path of a socket is limited.
    with TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:
        path = f"unix://{directory}/collector.sock"
        server = grpc.server(pool)
        add_TraceServiceServicer_to_server(Traces(receiver), server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(path)
        server.start()
        with opened(path) as client:
            assert (client.address, client.send(request())) == (f"{path} (without TLS)", Accepted())
        server.stop(0).wait()
    assert len(receiver.spans) == 1


HINTS = {
    grpc.StatusCode.UNIMPLEMENTED: "; the collector has no pipeline for traces: add one to its configuration"
}
PERMANENT = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
SUSPECT = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED}


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK], ids=str
)
def test_a_status_is_a_permanent_or_a_retryable_failure(
    receiver: GrpcReceiver, code: grpc.StatusCode
) -> None:
    found = result_of(receiver, status(code))
    cause = f"gRPC {code.name}: scripted failure{HINTS.get(code, '')}"
    if code in PERMANENT:
        assert found == PermanentFailure(cause)
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        assert found == RetryableFailure("no answer within 10 s", request_suspect=True)
    else:
        assert found == RetryableFailure(cause, request_suspect=code in SUSPECT)


@pytest.mark.parametrize(
    ("message", "shown"),
    [("", ""), ("größe", "größe"), ("x" * 5000, "x" * 400)],
    ids=["none", "short", "long"],
)
def test_the_message_of_a_status_is_shortened(receiver: GrpcReceiver, message: str, shown: str) -> None:
    found = result_of(receiver, status(grpc.StatusCode.ABORTED, message))
    assert found == RetryableFailure(f"gRPC ABORTED: {shown}")


def test_after_a_response_that_is_too_large_the_next_request_is_accepted(receiver: GrpcReceiver) -> None:
    receiver.replies(partial(1, "x" * 5_000_000))
    with opened(target_of(receiver)) as client:
        found = client.send(request())
        assert isinstance(found, RetryableFailure)
        assert found.cause.startswith("gRPC RESOURCE_EXHAUSTED: ")
        assert client.send(request(digits="b")) == Accepted()


def test_a_host_that_accepts_and_says_nothing_is_not_waited_for() -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as mute:
        target = f"{LOOPBACK}:{mute.getsockname()[1]}"
        with opened(target, seconds=SOON) as client:
            assert client.send(request()) == RetryableFailure("no answer within 0.3 s", request_suspect=True)


def test_a_refused_connection_is_named_as_the_cause(receiver: GrpcReceiver) -> None:
    receiver.stop()
    target = target_of(receiver)
    with opened(target, headers=(("authorization", SECRET),)) as client:
        assert client.send(request()) == RetryableFailure(
            "gRPC UNAVAILABLE: failed to connect to all addresses; last error: "
            f"UNKNOWN: ipv4:{target}: Failed to connect to remote host: Connection refused"
        )


def test_an_unknown_host_is_named_without_secrets() -> None:
    with opened("a..b:4317", headers=(("authorization", SECRET),)) as client:
        found = client.send(request())
    assert isinstance(found, RetryableFailure)
    assert found.cause.startswith("gRPC UNAVAILABLE: ")
    assert "a..b:4317" in found.cause
    assert SECRET not in found.cause


@pytest.mark.parametrize("was_used", [False, True])
def test_a_closed_client_sends_nothing(receiver: GrpcReceiver, *, was_used: bool) -> None:
    client = OtlpGrpcClient(OtlpEndpoint(target_of(receiver), OtlpProtocol.GRPC))
    if was_used:
        assert client.send(request()) == Accepted()
    client.close()
    assert client.send(request()) == RetryableFailure("Cannot invoke RPC on closed channel!")


def test_closing_ends_a_call_that_waits(receiver: GrpcReceiver) -> None:
    receiver.replies(hang())
    found: list[ExportResult] = []
    client = OtlpGrpcClient(OtlpEndpoint(target_of(receiver), OtlpProtocol.GRPC, seconds=60.0))
    waiting = Thread(target=lambda: found.append(client.send(request())))
    waiting.start()
    receiver.wait_for_requests(1)
    client.close()
    waiting.join(LATE)
    assert found == [RetryableFailure("gRPC CANCELLED: Channel closed!")]


@pytest.mark.parametrize(
    ("path", "cause"), [("gone.pem", "No such file or directory"), (".", "Is a directory")]
)
def test_an_unreadable_file_is_an_error_at_the_start(tmp_path: Path, path: str, cause: str) -> None:
    wrong = str(tmp_path / path)
    for changes in ({"certificate": wrong}, {"client": (wrong, wrong)}):
        with pytest.raises(OtelConfigError) as caught, opened("collector:4317", secure=True, **changes):
            pass
        assert str(caught.value) == f"{wrong}: {cause}"
