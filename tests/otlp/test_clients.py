"""What the clients for HTTP and gRPC have in common: what arrives, and what a reply or a failure means."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest

from exporter.model import TelemetrySignal
from exporter.otlp.client import Accepted, PermanentFailure, RetryableFailure
from exporter.otlp.endpoint import Compression
from tests.lab.wait import wait_until
from tests.otlp.samples import request
from tests.otlp.tls import Keys, authority_of, pair
from tests.otlp.transports import AnyReceiver, GrpcTransport, HttpTransport, Transport, export, opened
from tests.scripted.http_receiver import LOOPBACK

SOON = 0.3
"""Timeout for a collector that never answers."""
LATE = 5.0
"""What is over by then did not wait forever, on the slowest machine."""
RECONNECT_SECONDS = 20.0
"""Longest time until a lost channel is tried again."""


@pytest.fixture(params=[HttpTransport(), GrpcTransport()], ids=["http", "grpc"])
def transport(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def receiver(transport: Transport) -> Iterator[AnyReceiver]:
    with transport.receiver() as started:
        yield started


# What arrives


@pytest.mark.parametrize(
    ("signal", "spans", "events"),
    [
        (TelemetrySignal.TRACES, ["a" * 32, "b" * 32, "c" * 32], []),
        (TelemetrySignal.LOGS, [], ["container.start", "container.exit"] * 3),
    ],
)
def test_all_items_of_a_request_arrive(
    transport: Transport, receiver: AnyReceiver, signal: TelemetrySignal, spans: list[str], events: list[str]
) -> None:
    with opened(transport, receiver.url, signal) as client:
        assert client.send(request(signal, "abc")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == spans
    assert [record.event_name for record in receiver.records] == events
    [asked] = receiver.requests
    assert (asked.path, asked.spans, asked.records) == (transport.paths[signal], len(spans), len(events))


class Relay:
    """Passes one connection on to a receiver, and counts the bytes that go to it."""

    def __init__(self, url: str) -> None:
        self._scheme, _, port = url.rpartition(":")
        self._port = int(port)
        self._listener = socket.create_server((LOOPBACK, 0))
        self._thread = Thread(target=self._serve)
        self.count = 0

    @property
    def url(self) -> str:
        """URL that takes the place of the receiver's."""
        return f"{self._scheme}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with self._listener.accept()[0] as near, socket.create_connection((LOOPBACK, self._port)) as far:
            back = Thread(target=self._copy, args=(far, near))
            back.start()
            self.count = self._copy(near, far)
            back.join()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> int:
        count = 0
        with suppress(OSError):
            while data := source.recv(1 << 16):
                count += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        return count


@pytest.mark.parametrize("compression", list(Compression))
def test_a_compressed_request_is_smaller_and_arrives_whole(
    transport: Transport, receiver: AnyReceiver, compression: Compression
) -> None:
    with Relay(receiver.url) as relay, opened(transport, relay.url, compression=compression) as client:
        assert client.send(request(name="x" * 100_000)) == Accepted()
    assert [span.attributes["container.name"] for span in receiver.spans] == ["x" * 100_000]
    assert (relay.count > 100_000) is (compression is Compression.NONE)


# Replies


@pytest.mark.parametrize(
    ("rejected", "message", "accepted"),
    [
        pytest.param(1, "too old", Accepted(1, "too old"), id="some rejected"),
        pytest.param(0, "slow down", Accepted(0, "slow down"), id="a warning"),
        pytest.param(-1, "", Accepted(), id="a negative number"),
        pytest.param(2**63 - 1, "", Accepted(2**63 - 1), id="the largest number"),
        pytest.param(1, "x" * 10_000, Accepted(1, "x" * 400), id="a long message"),
    ],
)
def test_a_partial_success_says_how_many_were_rejected(
    transport: Transport, receiver: AnyReceiver, rejected: int, message: str, accepted: Accepted
) -> None:
    for signal in TelemetrySignal:
        receiver.replies(transport.replies.partial(rejected, message))
        with opened(transport, receiver.url, signal) as client:
            assert client.send(request(signal)) == accepted


def test_a_collector_that_hangs_is_not_waited_for(transport: Transport, receiver: AnyReceiver) -> None:
    begin = time.monotonic()
    found = export(transport, receiver, transport.replies.hang(), seconds=SOON)
    assert found == RetryableFailure("no answer within 0.3 s", request_suspect=True)
    assert SOON <= time.monotonic() - begin < LATE


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(lambda transport: transport.rejected_request, id="rejected"),
        pytest.param(lambda transport: transport.unavailable, id="unavailable"),
        pytest.param(lambda transport: transport.replies.hang(), id="hangs"),
    ],
)
def test_after_a_failure_the_next_request_is_accepted(
    transport: Transport, receiver: AnyReceiver, reply: Callable[[Transport], Any]
) -> None:
    receiver.replies(reply(transport))
    with opened(transport, receiver.url, seconds=SOON) as client:
        assert isinstance(client.send(request()), PermanentFailure | RetryableFailure)
        assert client.send(request(digits="b")) == Accepted()
    assert [span.trace_id for span in receiver.spans] == ["b" * 32]


def test_a_collector_that_comes_back_is_reached_again(transport: Transport, receiver: AnyReceiver) -> None:
    with opened(transport, receiver.url) as client:
        assert client.send(request()) == Accepted()
        receiver.stop()
        assert isinstance(client.send(request()), RetryableFailure)
        receiver.start()
        assert wait_until(lambda: client.send(request(digits="b")) == Accepted(), RECONNECT_SECONDS)
    assert [span.trace_id for span in receiver.spans] == ["a" * 32, "b" * 32]


# TLS


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.create(tmp_path)


@pytest.fixture
def secured(transport: Transport, keys: Keys) -> Iterator[AnyReceiver]:
    """A receiver that requires certificates of its clients."""
    with transport.receiver(keys) as started:
        yield started


def test_with_mutual_trust_a_request_is_accepted(
    transport: Transport, secured: AnyReceiver, keys: Keys
) -> None:
    trust = {"certificate": authority_of(keys.client), "client": pair(keys.client), "secure": True}
    assert export(transport, secured, transport.replies.OK, **trust) == Accepted()
    assert len(secured.spans) == 1


NOT_VERIFIED = "CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
NO_HANDSHAKE = "Failed to create security handshaker."
PROTOCOL_FAILURE = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL"
# A gRPC server closes the connection of a client that it refuses, without a cause.
CLOSED = "gRPC UNAVAILABLE: failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        pytest.param(
            lambda keys: {"client": pair(keys.client)},
            {"http": NOT_VERIFIED, "grpc": PROTOCOL_FAILURE},
            id="unknown authority",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.stranger), "client": pair(keys.client)},
            {"http": NOT_VERIFIED, "grpc": PROTOCOL_FAILURE},
            id="another authority",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.client)},
            {"http": "sslv3 alert handshake failure", "grpc": CLOSED},
            id="no client certificate",
        ),
        pytest.param(
            lambda keys: {"certificate": authority_of(keys.client), "client": pair(keys.stranger)},
            {"http": "tlsv1 alert unknown ca", "grpc": CLOSED},
            id="certificate of a stranger",
        ),
        pytest.param(
            lambda keys: {
                "certificate": authority_of(keys.client),
                "client": (pair(keys.client)[0], pair(keys.stranger)[1]),
            },
            {"http": "[X509: KEY_VALUES_MISMATCH] key values mismatch", "grpc": NO_HANDSHAKE},
            id="another key",
        ),
        pytest.param(
            lambda keys: {"certificate": pair(keys.client)[1]},
            {"http": "no certificate or crl found", "grpc": NO_HANDSHAKE},
            id="no authority in the file",
        ),
    ],
)
def test_without_mutual_trust_nothing_is_sent(
    transport: Transport,
    secured: AnyReceiver,
    keys: Keys,
    changes: Callable[[Keys], dict[str, Any]],
    causes: dict[str, str],
) -> None:
    found = export(transport, secured, transport.replies.OK, secure=True, **changes(keys))
    assert isinstance(found, RetryableFailure)
    assert causes[transport.name] in found.cause
    assert secured.requests == []


def test_with_tls_on_one_side_only_nothing_is_sent(
    transport: Transport, receiver: AnyReceiver, secured: AnyReceiver
) -> None:
    with_tls, without_tls = receiver.url.replace("http", "https"), secured.url.replace("https", "http")
    for url, secure in ((with_tls, True), (without_tls, False)):
        with opened(transport, url, secure=secure) as client:
            assert isinstance(client.send(request()), RetryableFailure)
    assert receiver.requests == secured.requests == []
