"""OTLP over gRPC; needs the extra ``grpc``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from exporter import __version__
from exporter.model import TelemetrySignal
from exporter.otlp import encoding
from exporter.otlp.client import (
    Accepted,
    ExportResult,
    PermanentFailure,
    RetryableFailure,
    log_text,
    missing_pipeline,
)
from exporter.otlp.encoding import ExportRequest
from exporter.otlp.endpoint import Compression, OtlpEndpoint
from exporter.otlp.error_status import ErrorStatus, parse_status
from exporter.otlp.variables import OtelConfigError

# With these statuses the request itself is wrong.
_REQUEST_IS_BAD = frozenset({grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION})
# With these statuses the request may be the cause; a message that is too large is an exhausted resource.
_REQUEST_IS_SUSPECT = frozenset(
    {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED}
)
_STATUS_DETAILS = "grpc-status-details-bin"
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
    """Client with one channel, which connects when it is used and reconnects by itself."""

    def __init__(self, endpoint: OtlpEndpoint) -> None:
        self._endpoint = endpoint
        options = (("grpc.primary_user_agent", f"exit-exporter/{__version__}"),)
        compression = _COMPRESSION[endpoint.compression]
        if endpoint.secure:
            self._channel = grpc.secure_channel(endpoint.url, _credentials(endpoint), options, compression)
        else:
            self._channel = grpc.insecure_channel(endpoint.url, options, compression)
        # Created now: a stub of a channel that another thread has closed would end the process.
        self._stubs = {signal: stub(self._channel) for signal, stub in _STUBS.items()}

    @property
    def address(self) -> str:
        """Target of the channel, and whether it uses TLS."""
        return f"{self._endpoint.url} ({'with' if self._endpoint.secure else 'without'} TLS)"

    def send(self, request: ExportRequest) -> ExportResult:
        """Send a request with the call Export."""
        try:
            message = self._stubs[request.signal].Export(
                request.message, timeout=self._endpoint.seconds, metadata=self._endpoint.headers
            )
        except grpc.RpcError as error:
            return self._failed(request.signal, error)
        except ValueError as error:
            # The channel has been closed.
            return RetryableFailure(str(error))
        response = encoding.parse_response(request.signal, message.SerializeToString())
        return Accepted(max(0, response.rejected), log_text(response.message))

    def close(self) -> None:
        """Close the channel and cancel the calls on it."""
        self._channel.close()

    def _failed(self, signal: TelemetrySignal, error: grpc.RpcError) -> ExportResult:
        code, status = error.code(), _status(error)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return RetryableFailure(f"no answer within {self._endpoint.seconds:g} s", request_suspect=True)
        hint = f"; {missing_pipeline(signal)}" if code is grpc.StatusCode.UNIMPLEMENTED else ""
        cause = f"gRPC {code.name}: {status.text}{hint}"
        if code in _REQUEST_IS_BAD:
            return PermanentFailure(cause)
        return RetryableFailure(cause, status.retry_seconds, request_suspect=code in _REQUEST_IS_SUSPECT)


def _status(error: grpc.RpcError) -> ErrorStatus:
    """Return the status with its details, which gRPC has in its metadata, else its message alone."""
    metadata: dict[str, Any] = {item.key: item.value for item in error.trailing_metadata() or ()}
    status = parse_status(metadata.get(_STATUS_DETAILS, b""))
    return status if status.text else replace(status, text=log_text(str(error.details() or "")))


def _credentials(endpoint: OtlpEndpoint) -> grpc.ChannelCredentials:
    certificate, key = endpoint.client or (None, None)
    return grpc.ssl_channel_credentials(
        _read_file(endpoint.certificate), _read_file(key), _read_file(certificate)
    )


def _read_file(path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise OtelConfigError(f"{path}: {error.strerror}") from error
