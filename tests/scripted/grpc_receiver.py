"""OTLP/gRPC receiver with scripted replies, which keeps what it accepts."""

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from tests.scripted.http_receiver import LOOPBACK
from tests.scripted.received import Batch, ReceivedRequest, logs, traces
from tests.scripted.receiver_script import ScriptedReceiver

TRACES_PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS_PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
WORKERS = 32
"""Number of held replies that do not delay others."""


@dataclass(frozen=True)
class GrpcReply:
    """Reply, and whether the request is accepted: all of it but the first `rejected` items."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""
    keep: bool = False
    rejected: int = 0
    details: tuple[Message, ...] = ()
    hangs: bool = False
    afterwards: "GrpcReply | None" = None


OK = GrpcReply(keep=True)
"""Accepts all."""


def status(
    code: grpc.StatusCode,
    message: str = "scripted failure",
    *,
    retry_after: float | None = None,
    details: tuple[Message, ...] = (),
    keep: bool = False,
) -> GrpcReply:
    """Return a reply with a status, and a RetryInfo if seconds are given; nothing is accepted by default."""
    again = () if retry_after is None else (retry_info(retry_after),)
    return GrpcReply(code, message, keep=keep, details=(*details, *again))


def retry_info(seconds: float) -> RetryInfo:
    """Return the detail of a status that asks for a pause."""
    again = RetryInfo()
    again.retry_delay.FromNanoseconds(round(seconds * 1e9))
    return again


def partial(rejected: int, message: str) -> GrpcReply:
    """Return a reply with a `partial_success` that rejects the first items; 0 with a message is a warning."""
    return GrpcReply(message=message, keep=True, rejected=rejected)


def hang(afterwards: GrpcReply = OK) -> GrpcReply:
    """Return a reply that is held until `release()`; the request is not accepted if its client has left."""
    return GrpcReply(hangs=True, afterwards=afterwards)


class GrpcReceiver(ScriptedReceiver[GrpcReply]):
    """OTLP/gRPC receiver, running between `__enter__` and `__exit__`."""

    def __init__(self, *, port: int = 0, tls: grpc.ServerCredentials | None = None) -> None:
        """Set the port, 0 for any free one, and the server's TLS credentials."""
        super().__init__(OK)
        self._tls = tls
        self._server: grpc.Server | None = None
        self._held = held_port(port)
        self._port: int = self._held.getsockname()[1]

    @property
    def url(self) -> str:
        """URL; it stays the same after a restart."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Listen."""
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="scripted-grpc-receiver")
        self._server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        add_TraceServiceServicer_to_server(Traces(self), self._server)  # type: ignore[no-untyped-call]
        add_LogsServiceServicer_to_server(Logs(self), self._server)  # type: ignore[no-untyped-call]
        self._held.close()
        if self._tls is None:
            self._server.add_insecure_port(f"{LOOPBACK}:{self._port}")
        else:
            self._server.add_secure_port(f"{LOOPBACK}:{self._port}", self._tls)
        self._server.start()

    def stop(self) -> None:
        """Close all connections and refuse new ones; the log and the script stay."""
        self.close()
        # A port that is bound without listening refuses connections, and is given to no other process.
        self._held = held_port(self._port)

    def close(self) -> None:
        """Stop, and free the port."""
        self._held.close()
        server, self._server = self._server, None
        if server is not None:
            server.stop(0).wait()

    def answer(self, path: str, batch: Batch, size: int, context: grpc.ServicerContext) -> GrpcReply:
        """Record the request and return the reply. Raises for a status other than OK."""
        headers = {name: str(content) for name, content in context.invocation_metadata()}
        self.note(ReceivedRequest("POST", path, headers, len(batch.spans), len(batch.records), size))
        reply = self.next_reply(batch)
        if reply.hangs:
            reply = self._later(reply.afterwards or OK, context)
        if reply.keep:
            self.keep(batch, reply.rejected)
        if reply.code is not grpc.StatusCode.OK:
            refuse(reply, context)
        return reply

    def _later(self, afterwards: GrpcReply, context: grpc.ServicerContext) -> GrpcReply:
        if self.gate.passed(lambda: not context.is_active()):
            return afterwards
        return status(grpc.StatusCode.UNAVAILABLE, "hung up")


class Traces(TraceServiceServicer):
    """Service for spans."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's word
        """Answer a request."""
        reply = self._receiver.answer(TRACES_PATH, traces(request), request.ByteSize(), context)
        response = ExportTraceServiceResponse()
        if reply.rejected or reply.message:
            response.partial_success.rejected_spans = reply.rejected
            response.partial_success.error_message = reply.message
        return response


class Logs(LogsServiceServicer):
    """Service for log records."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's word
        """Answer a request."""
        reply = self._receiver.answer(LOGS_PATH, logs(request), request.ByteSize(), context)
        response = ExportLogsServiceResponse()
        if reply.rejected or reply.message:
            response.partial_success.rejected_log_records = reply.rejected
            response.partial_success.error_message = reply.message
        return response


def refuse(reply: GrpcReply, context: grpc.ServicerContext) -> None:
    """End the request with a status, and its details if the reply has any."""
    if reply.details:
        details = Status(code=reply.code.value[0], message=reply.message)
        for detail in reply.details:
            details.details.add().Pack(detail)
        context.set_trailing_metadata((("grpc-status-details-bin", details.SerializeToString()),))
    context.abort(reply.code, reply.message)


def held_port(port: int) -> socket.socket:
    """Bind a port without listening, 0 for any that is free."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, port))
    return holder
