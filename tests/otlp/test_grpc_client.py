"""What a collector over gRPC is told, and what its answers are taken for."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Self

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

from exporter import __version__
from exporter.model import TelemetrySignal
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure
from exporter.otlp.endpoint import Compression, OtlpEndpoint, OtlpProtocol
from exporter.otlp.grpc_client import OtlpGrpcClient
from exporter.otlp.variables import OtelConfigError
from tests.lab.wait import wait_until
from tests.otlp.samples import request
from tests.otlp.tls import Keys, authority_of, pair
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
SOON = 0.3
"""How long a collector that never answers is waited for."""
LATE = 5.0
"""What is over by then has not waited for ever, on the slowest machine."""
AGAIN_SECONDS = 20.0
"""How soon a channel that was lost is tried again, at the latest."""
CALL_FAILED = "gRPC UNAVAILABLE: failed to connect to all addresses; last error: "


@pytest.fixture
def receiver() -> Iterator[GrpcReceiver]:
    with GrpcReceiver() as started:
        yield started


def target_of(receiver: GrpcReceiver) -> str:
    """Give where it is, as gRPC writes it."""
    return receiver.url.partition("//")[2]


@contextmanager
def collector(url: str, **changes: Any) -> Iterator[OtlpGrpcClient]:
    """Open a collector, and let go of it."""
    with closing(OtlpGrpcClient(OtlpEndpoint(url, OtlpProtocol.GRPC, **changes))) as opened:
        yield opened


def answer(receiver: GrpcReceiver, reply: GrpcReply, **changes: Any) -> ExportResult:
    """Send a span to which is replied so."""
    receiver.replies(reply)
    with collector(target_of(receiver), **changes) as opened:
        return opened.send(request())


# What is sent


def test_spans_are_sent_and_kept(receiver: GrpcReceiver) -> None:
    with collector(target_of(receiver)) as opened:
        assert opened.send(request(digits="abc")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["a" * 32, "b" * 32, "c" * 32]
    [asked] = receiver.requests
    assert (asked.path, asked.spans, asked.records) == (TRACES_PATH, 3, 0)


def test_log_records_are_sent_and_kept(receiver: GrpcReceiver) -> None:
    with collector(target_of(receiver)) as opened:
        assert opened.send(request(TelemetrySignal.LOGS)) == Accepted()
    assert [one.event_name for one in receiver.records] == ["container.start", "container.exit"]
    [asked] = receiver.requests
    assert (asked.path, asked.spans, asked.records) == (LOGS_PATH, 0, 2)


def test_one_channel_is_for_both_signals(receiver: GrpcReceiver) -> None:
    with collector(target_of(receiver)) as opened:
        answers = [
            opened.send(request(signal))
            for signal in (TelemetrySignal.TRACES, TelemetrySignal.LOGS, TelemetrySignal.TRACES)
        ]
    assert answers == [Accepted()] * 3
    assert [asked.path for asked in receiver.requests] == [TRACES_PATH, LOGS_PATH, TRACES_PATH]


@pytest.mark.parametrize(
    "headers",
    [(), (("authorization", "Bearer token"), ("x-scope-orgid", "tenant 1"), ("x-empty", ""))],
)
def test_headers_are_these_and_no_others(
    receiver: GrpcReceiver, headers: tuple[tuple[str, str], ...]
) -> None:
    assert answer(receiver, OK, headers=headers) == Accepted()
    [asked] = receiver.requests
    agent, _, library = asked.headers["user-agent"].partition(" ")
    assert (agent, library.partition("/")[0]) == (f"exit-exporter/{__version__}", "grpc-python")
    assert {**asked.headers, "user-agent": ""} == {**dict(headers), "user-agent": ""}


class Relay:
    """Between a collector and who speaks to it; counts the bytes that go to the collector."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server((LOOPBACK, 0))
        self._threads = [Thread(target=self._serve)]
        self.count = 0

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"{LOOPBACK}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with self._listener.accept()[0] as near, socket.create_connection((LOOPBACK, self._port)) as far:
            back = Thread(target=self._carry, args=(far, near))
            back.start()
            self.count = self._carry(near, far)
            back.join()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> int:
        count = 0
        with suppress(OSError):
            while some := one.recv(1 << 16):
                count += len(some)
                other.sendall(some)
            other.shutdown(socket.SHUT_WR)
        return count


@pytest.mark.parametrize("compression", list(Compression))
def test_what_is_compressed_arrives_whole_and_is_smaller(
    receiver: GrpcReceiver, compression: Compression
) -> None:
    with (
        Relay(int(receiver.url.rpartition(":")[2])) as relay,
        collector(relay.target, compression=compression) as opened,
    ):
        assert opened.send(request(name="x" * 100_000)) == Accepted()
    assert [span.attributes["container.name"] for span in receiver.spans] == ["x" * 100_000]
    assert (relay.count > 100_000) is (compression is Compression.NONE)


def test_the_address_is_the_target() -> None:
    with collector("collector:4317", headers=(("authorization", SECRET),)) as opened:
        assert opened.address == "collector:4317 (without TLS)"
    with collector("collector:4317", secure=True) as opened:
        assert opened.address == "collector:4317 (with TLS)"


def test_a_socket_in_the_file_system_is_a_target_too(receiver: GrpcReceiver) -> None:
    # A path that is short, since those of sockets have to be.
    with TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:
        path = f"unix://{directory}/collector.sock"
        server = grpc.server(pool)
        add_TraceServiceServicer_to_server(Traces(receiver), server)  # type: ignore[no-untyped-call]
        server.add_insecure_port(path)
        server.start()
        with collector(path) as opened:
            assert (opened.address, opened.send(request())) == (f"{path} (without TLS)", Accepted())
        server.stop(0).wait()
    assert len(receiver.spans) == 1


# What is accepted, and what is not


@pytest.mark.parametrize(
    ("reply", "accepted"),
    [
        pytest.param(OK, Accepted(), id="empty"),
        pytest.param(partial(1, "too old"), Accepted(1, "too old"), id="some rejected"),
        pytest.param(partial(0, "slow down"), Accepted(0, "slow down"), id="a warning"),
        pytest.param(GrpcReply(rejected=-1), Accepted(), id="a nonsensical number"),
        pytest.param(GrpcReply(rejected=2**63 - 1), Accepted(2**63 - 1), id="a nonsensically large number"),
        pytest.param(partial(1, "x" * 1_000_000), Accepted(1, "x" * 400), id="a long message"),
    ],
)
@pytest.mark.parametrize("signal", list(TelemetrySignal))
def test_a_response_means_that_it_was_accepted(
    receiver: GrpcReceiver, signal: TelemetrySignal, reply: GrpcReply, accepted: Accepted
) -> None:
    receiver.replies(reply)
    with collector(target_of(receiver)) as opened:
        assert opened.send(request(signal)) == accepted


def test_a_collector_that_is_closed_is_not_reached(receiver: GrpcReceiver) -> None:
    for sent in (False, True):
        opened = OtlpGrpcClient(OtlpEndpoint(target_of(receiver), OtlpProtocol.GRPC))
        if sent:
            assert opened.send(request()) == Accepted()
        opened.close()
        assert opened.send(request()) == RetryableFailure("Cannot invoke RPC on closed channel!")


BAD = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
LATENESS = {grpc.StatusCode.DEADLINE_EXCEEDED}
OVERCOME = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED}
OTHERS = [code for code in grpc.StatusCode if code not in BAD | LATENESS | {grpc.StatusCode.OK}]


@pytest.mark.parametrize("code", sorted(BAD, key=str), ids=str)
def test_what_is_wrong_with_the_request_is_refused(receiver: GrpcReceiver, code: grpc.StatusCode) -> None:
    assert answer(receiver, status(code)) == PermanentFailure(f"gRPC {code.name}: scripted failure")


@pytest.mark.parametrize("code", OTHERS, ids=str)
def test_what_is_wrong_elsewhere_is_tried_again(receiver: GrpcReceiver, code: grpc.StatusCode) -> None:
    assert answer(receiver, status(code)) == RetryableFailure(
        f"gRPC {code.name}: scripted failure", request_suspect=code in OVERCOME
    )


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("", "gRPC ABORTED: "),
        ("größe", "gRPC ABORTED: größe"),
        ("x" * 5000, f"gRPC ABORTED: {'x' * 400}"),
    ],
)
def test_what_a_collector_says_of_itself_is_told_in_short(
    receiver: GrpcReceiver, message: str, cause: str
) -> None:
    assert answer(receiver, status(grpc.StatusCode.ABORTED, message)) == RetryableFailure(cause)


def test_a_response_that_fills_memory_is_not_read(receiver: GrpcReceiver) -> None:
    found = answer(receiver, partial(1, "x" * 5_000_000))
    assert isinstance(found, RetryableFailure)
    assert found.cause.startswith("gRPC RESOURCE_EXHAUSTED: ")


# No answer


def test_a_collector_that_hangs_is_not_waited_for(receiver: GrpcReceiver) -> None:
    began = time.monotonic()
    assert answer(receiver, hang(), seconds=SOON) == RetryableFailure(
        "no answer within 0.3 s", request_suspect=True
    )
    assert SOON <= time.monotonic() - began < LATE


def test_a_collector_that_says_that_it_was_too_slow_has_not_answered(receiver: GrpcReceiver) -> None:
    assert answer(receiver, status(grpc.StatusCode.DEADLINE_EXCEEDED)) == RetryableFailure(
        "no answer within 10 s", request_suspect=True
    )


def test_a_host_that_accepts_and_says_nothing_is_not_waited_for() -> None:
    with (
        closing(socket.create_server((LOOPBACK, 0))) as mute,
        collector(f"{LOOPBACK}:{mute.getsockname()[1]}", seconds=SOON) as opened,
    ):
        assert opened.send(request()) == RetryableFailure("no answer within 0.3 s", request_suspect=True)


def test_a_refused_connection_says_so(receiver: GrpcReceiver) -> None:
    receiver.stop()
    target = target_of(receiver)
    with collector(target, headers=(("authorization", SECRET),)) as opened:
        assert opened.send(request()) == RetryableFailure(
            f"{CALL_FAILED}UNKNOWN: ipv4:{target}: Failed to connect to remote host: Connection refused"
        )


def test_a_host_that_nobody_knows_says_so() -> None:
    with collector("a..b:4317", headers=(("authorization", SECRET),)) as opened:
        found = opened.send(request())
    assert isinstance(found, RetryableFailure)
    assert found.cause.startswith("gRPC UNAVAILABLE: ")
    assert "a..b:4317" in found.cause
    assert SECRET not in found.cause


def test_what_waits_ends_when_the_collector_is_let_go_of(receiver: GrpcReceiver) -> None:
    receiver.replies(hang())
    found: list[ExportResult] = []
    opened = OtlpGrpcClient(OtlpEndpoint(target_of(receiver), OtlpProtocol.GRPC, seconds=60.0))
    waiting = Thread(target=lambda: found.append(opened.send(request())))
    waiting.start()
    receiver.wait_for_requests(1)
    opened.close()
    waiting.join(LATE)
    assert found == [RetryableFailure("gRPC CANCELLED: Channel closed!")]


# And again


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(status(grpc.StatusCode.INVALID_ARGUMENT), id="refused"),
        pytest.param(status(grpc.StatusCode.UNAVAILABLE, retry_after=5), id="unavailable"),
        pytest.param(status(grpc.StatusCode.UNAUTHENTICATED), id="unknown"),
        pytest.param(partial(1, "x" * 5_000_000), id="much to say"),
        pytest.param(hang(), id="hangs"),
    ],
)
def test_after_any_failure_the_next_request_is_accepted(receiver: GrpcReceiver, reply: GrpcReply) -> None:
    receiver.replies(reply)
    with collector(target_of(receiver), seconds=SOON) as opened:
        assert not isinstance(opened.send(request()), Accepted)
        assert opened.send(request(digits="b")) == Accepted()
    assert receiver.spans[-1].trace_id == "b" * 32


def test_a_collector_that_comes_back_is_reached_again(receiver: GrpcReceiver) -> None:
    with collector(target_of(receiver)) as opened:
        assert opened.send(request()) == Accepted()
        receiver.stop()
        assert isinstance(opened.send(request()), RetryableFailure)
        receiver.start()
        assert wait_until(lambda: opened.send(request(digits="b")) == Accepted(), AGAIN_SECONDS)
    assert [span.trace_id for span in receiver.spans] == ["a" * 32, "b" * 32]


# TLS


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path)


@pytest.fixture
def secured(keys: Keys) -> Iterator[GrpcReceiver]:
    """A receiver that asks its clients for a certificate too."""
    certificate, key = (Path(path).read_bytes() for path in pair(keys.server))
    authority = Path(authority_of(keys.server)).read_bytes()
    credentials = grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
    with GrpcReceiver(tls=credentials) as started:
        yield started


def test_with_an_own_authority_and_a_client_certificate_spans_are_accepted(
    secured: GrpcReceiver, keys: Keys
) -> None:
    trusted = {"certificate": authority_of(keys.client), "client": pair(keys.client), "secure": True}
    assert answer(secured, OK, **trusted) == Accepted()
    assert len(secured.spans) == 1


NOT_TRUSTED = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL"
NO_HANDSHAKE = "Failed to create security handshaker."


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param(lambda keys: {"client": pair(keys.client)}, NOT_TRUSTED, id="an unknown authority"),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.stranger), "client": pair(keys.client)},
            NOT_TRUSTED,
            id="another authority",
        ),
        # What the server does not like, it tells nobody: it closes.
        pytest.param(lambda keys: {"certificate": authority_of(keys.client)}, "", id="no client certificate"),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.client), "client": pair(keys.stranger)},
            "",
            id="the certificate of a stranger",
        ),
        pytest.param(
            lambda keys: {
                "certificate": authority_of(keys.client),
                "client": (pair(keys.client)[0], pair(keys.stranger)[1]),
            },
            NO_HANDSHAKE,
            id="another key",
        ),
        pytest.param(
            lambda keys: {"certificate": pair(keys.client)[1]}, NO_HANDSHAKE, id="an authority that is none"
        ),
        pytest.param(lambda _: {"secure": False}, "", id="no TLS"),
    ],
)
def test_without_mutual_trust_nothing_is_sent(
    secured: GrpcReceiver, keys: Keys, changes: Callable[[Keys], dict[str, Any]], said: str
) -> None:
    found = answer(secured, OK, **{"secure": True, **changes(keys)})
    assert isinstance(found, RetryableFailure)
    assert found.cause.startswith(CALL_FAILED)
    assert said in found.cause
    assert secured.requests == []


def test_a_collector_without_tls_is_not_told_by_who_wants_it(receiver: GrpcReceiver) -> None:
    found = answer(receiver, OK, secure=True)
    assert isinstance(found, RetryableFailure)
    assert found.cause.startswith(CALL_FAILED)
    assert NOT_TRUSTED in found.cause
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("path", "cause"),
    [("gone.pem", "No such file or directory"), (".", "Is a directory")],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_sent(
    tmp_path: Path, path: str, cause: str
) -> None:
    wrong = str(tmp_path / path)
    for changes in ({"certificate": wrong}, {"client": (wrong, wrong)}):
        with pytest.raises(OtelConfigError) as refused, collector("collector:4317", secure=True, **changes):
            pass
        assert str(refused.value) == f"{wrong}: {cause}"
