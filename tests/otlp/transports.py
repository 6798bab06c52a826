"""The two transports of OTLP: a client of each, the receiver it is tested against, and its replies."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import grpc

from exporter.model import TelemetrySignal
from exporter.otlp.client import ExportResult, OtlpClient
from exporter.otlp.endpoint import OtlpEndpoint, OtlpProtocol
from exporter.otlp.grpc_client import OtlpGrpcClient
from exporter.otlp.http_client import OtlpHttpClient
from tests.otlp.samples import request
from tests.otlp.tls import Keys, authority_of, pair
from tests.scripted import grpc_receiver, http_replies
from tests.scripted.grpc_receiver import GrpcReceiver
from tests.scripted.http_receiver import Receiver


class HttpTransport:
    """OTLP over HTTP."""

    name = "http"
    replies = http_replies
    paths: ClassVar = {TelemetrySignal.TRACES: "/v1/traces", TelemetrySignal.LOGS: "/v1/logs"}
    rejected_request = http_replies.status(400)
    unavailable = http_replies.status(503, retry_after=5)

    def receiver(self, keys: Keys | None = None) -> Receiver:
        """Return a receiver; with keys it requires certificates of its clients."""
        if keys is None:
            return Receiver()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair(keys.server))
        context.load_verify_locations(authority_of(keys.server))
        context.verify_mode = ssl.CERT_REQUIRED
        # In later versions a client learns only afterwards that its certificate was refused.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return Receiver(tls=context)

    def client(self, url: str, signal: TelemetrySignal, **changes: Any) -> OtlpClient:
        """Return a client for a receiver's URL."""
        return OtlpHttpClient(OtlpEndpoint(url + self.paths[signal], **changes))


class GrpcTransport:
    """OTLP over gRPC."""

    name = "grpc"
    replies = grpc_receiver
    paths: ClassVar = {
        TelemetrySignal.TRACES: grpc_receiver.TRACES_PATH,
        TelemetrySignal.LOGS: grpc_receiver.LOGS_PATH,
    }
    rejected_request = grpc_receiver.status(grpc.StatusCode.INVALID_ARGUMENT)
    unavailable = grpc_receiver.status(grpc.StatusCode.UNAVAILABLE, retry_after=5)

    def receiver(self, keys: Keys | None = None) -> GrpcReceiver:
        """Return a receiver; with keys it requires certificates of its clients."""
        if keys is None:
            return GrpcReceiver()
        certificate, key = (Path(path).read_bytes() for path in pair(keys.server))
        authority = Path(authority_of(keys.server)).read_bytes()
        credentials = grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)
        return GrpcReceiver(tls=credentials)

    def client(self, url: str, _signal: TelemetrySignal, **changes: Any) -> OtlpClient:
        """Return a client for a receiver's URL."""
        return OtlpGrpcClient(OtlpEndpoint(url.partition("//")[2], OtlpProtocol.GRPC, **changes))


Transport = HttpTransport | GrpcTransport
AnyReceiver = Receiver | GrpcReceiver


@contextmanager
def opened(
    transport: Transport, url: str, signal: TelemetrySignal = TelemetrySignal.TRACES, **changes: Any
) -> Iterator[OtlpClient]:
    """Open a client for a receiver's URL, and close it."""
    with closing(transport.client(url, signal, **changes)) as client:
        yield client


def export(transport: Transport, receiver: AnyReceiver, reply: Any, **changes: Any) -> ExportResult:
    """Export a span to which the receiver replies so."""
    receiver.replies(reply)
    with opened(transport, receiver.url, **changes) as client:
        return client.send(request())
