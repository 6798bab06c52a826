"""A collector over gRPC; comes with the extra ``grpc``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from exporter import __version__
from exporter.model import TelemetrySignal
from exporter.otlp import encoding
from exporter.otlp.client import Accepted, ExportResult, PermanentFailure, RetryableFailure, sanitize
from exporter.otlp.encoding import ExportRequest
from exporter.otlp.endpoint import Compression, OtlpEndpoint
from exporter.otlp.variables import OtelConfigError

# What these find wrong is the request itself.
_REQUEST_IS_BAD = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION})
# What these fail at may be this very request; a message that is too large is an exhausted resource.
_OVERCOME = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED})
_COMPRESSION = {
    Compression.NONE: grpc.Compression.NoCompression,
    Compression.GZIP: grpc.Compression.Gzip,
    Compression.DEFLATE: grpc.Compression.Deflate,
}
_STUBS: Mapping[TelemetrySignal, Callable[[grpc.Channel], TraceServiceStub | LogsServiceStub]] = {
    TelemetrySignal.TRACES: TraceServiceStub,
    TelemetrySignal.LOGS: LogsServiceStub,
}


class OtlpGrpcClient:
    """One channel, which connects when it is used and again after it was lost."""

    def __init__(self, target: OtlpEndpoint) -> None:
        self._target = target
        options = (("grpc.primary_user_agent", f"exit-exporter/{__version__}"),)
        compression = _COMPRESSION[target.compression]
        if target.secure:
            self._channel = grpc.secure_channel(target.url, _credentials(target), options, compression)
        else:
            self._channel = grpc.insecure_channel(target.url, options, compression)
        # Now: made from a channel that another thread has closed, a stub ends the process.
        self._stubs = {signal: stub(self._channel) for signal, stub in _STUBS.items()}

    @property
    def address(self) -> str:
        """Its target, and whether what is sent is encrypted."""
        return f"{self._target.url} ({'with' if self._target.secure else 'without'} TLS)"

    def send(self, request: ExportRequest) -> ExportResult:
        """Call it."""
        try:
            answer = self._stubs[request.signal].Export(
                request.message, timeout=self._target.seconds, metadata=self._target.headers
            )
        except grpc.RpcError as error:
            return self._failed(error)
        except ValueError as error:
            # The channel has been closed.
            return RetryableFailure(str(error))
        response = encoding.parse_response(request.signal, answer.SerializeToString())
        return Accepted(max(0, response.rejected), sanitize(response.message))

    def close(self) -> None:
        """End the channel, and whatever waits on it."""
        self._channel.close()

    def _failed(self, error: grpc.RpcError) -> ExportResult:
        code, details = error.code(), sanitize(str(error.details() or ""))
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return RetryableFailure(f"no answer within {self._target.seconds:g} s", request_suspect=True)
        cause = f"gRPC {code.name}: {details}"
        if code in _REQUEST_IS_BAD:
            return PermanentFailure(cause)
        return RetryableFailure(cause, request_suspect=code in _OVERCOME)


def _credentials(target: OtlpEndpoint) -> grpc.ChannelCredentials:
    certificate, key = target.client or (None, None)
    return grpc.ssl_channel_credentials(_bytes(target.certificate), _bytes(key), _bytes(certificate))


def _bytes(path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise OtelConfigError(f"{path}: {error.strerror}") from error
