"""An OTLP/HTTP receiver that keeps what it accepts, and replies what a test tells it to reply."""

import gzip
import select
import socket
import ssl
import struct
import sys
import time
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Condition, Lock, Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF = "application/x-protobuf"
LOOPBACK = "127.0.0.1"

POLL_SECONDS = 0.02
"""How soon a server notices that it is to stop."""

DRIP_SECONDS = 0.1
"""How long a slow reply waits before its next byte."""

DRIP_LENGTH = 1_000_000
"""How long a slow reply claims to be."""

WAIT_SECONDS = 10.0
"""How long a test waits for something that must come; no test is slower for it, only a failing one."""

NO_LINGER = struct.pack("ii", 1, 0)
"""With this a closed socket is reset, and nothing that waits in it is sent."""


# --- what is received


@dataclass(frozen=True)
class ReceivedSpan:
    """A span with its resource and scope; ids in hex, attributes as Python values, bytes as bytes."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    status_code: int
    status_message: str
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    dropped_events: int
    resource: dict[str, Any]
    scope: str
    flags: int


@dataclass(frozen=True)
class ReceivedRecord:
    """A log record with its resource and scope; ids in hex, empty where it belongs to no span."""

    event_name: str
    time_ns: int
    observed_ns: int
    severity_number: int
    body: Any
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    resource: dict[str, Any]
    scope: str


@dataclass(frozen=True)
class Batch:
    """What one request carried."""

    spans: list[ReceivedSpan] = field(default_factory=list)
    records: list[ReceivedRecord] = field(default_factory=list)


@dataclass(frozen=True)
class ReceivedRequest:
    """What was asked, whatever was replied; header names in lower case, the size as it was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    spans: int
    records: int
    size: int
    moment: float = field(default_factory=time.monotonic)


def traces(request: Any) -> Batch:
    """Flatten an ExportTraceServiceRequest."""
    return Batch(
        spans=[
            received_span(span, decoded(group.resource.attributes), scoped.scope.name)
            for group in request.resource_spans
            for scoped in group.scope_spans
            for span in scoped.spans
        ]
    )


def logs(request: Any) -> Batch:
    """Flatten an ExportLogsServiceRequest."""
    return Batch(
        records=[
            received_record(record, decoded(group.resource.attributes), scoped.scope.name)
            for group in request.resource_logs
            for scoped in group.scope_logs
            for record in scoped.log_records
        ]
    )


def received_span(span: Any, resource: dict[str, Any], scope: str) -> ReceivedSpan:
    """Flatten one span."""
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status_code=span.status.code,
        status_message=span.status.message,
        attributes=decoded(span.attributes),
        events=[(event.name, event.time_unix_nano, decoded(event.attributes)) for event in span.events],
        dropped_events=span.dropped_events_count,
        resource=resource,
        scope=scope,
        flags=span.flags,
    )


def received_record(record: Any, resource: dict[str, Any], scope: str) -> ReceivedRecord:
    """Flatten one log record."""
    return ReceivedRecord(
        event_name=record.event_name,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        body=value(record.body),
        attributes=decoded(record.attributes),
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        resource=resource,
        scope=scope,
    )


def decoded(attributes: Iterable[Any]) -> dict[str, Any]:
    """Give attributes as a mapping; of a key that is there twice, the last."""
    return {attribute.key: value(attribute.value) for attribute in attributes}


def value(any_value: Any) -> Any:
    """Give an AnyValue as the Python value that it holds, None if it holds none."""
    match any_value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [value(each) for each in any_value.array_value.values]
        case "kvlist_value":
            return decoded(any_value.kvlist_value.values)
        case name:
            return getattr(any_value, name)


# --- what is replied


class Manner(Enum):
    """How a reply is given, if it is."""

    WHOLE = auto()
    RESET = auto()
    HANGS = auto()
    DRIPS = auto()


@dataclass(frozen=True)
class Reply:
    """A reply, and whether what was sent is kept: all of it but the first `rejected`."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = PROTOBUF
    keep: bool = False
    rejected: int = 0
    manner: Manner = Manner.WHOLE
    afterwards: "Reply | None" = None


OK = Reply(keep=True)
"""All is accepted: 200 and an empty response, which in protobuf is no byte at all."""


def status(code: int, *, retry_after: float | str | None = None) -> Reply:
    """Keep nothing and reply with a status, perhaps with `Retry-After` as it is given."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(code, headers, b"scripted failure\n", "text/plain")


def redirect(location: str) -> Reply:
    """Keep nothing and send the client elsewhere with 302."""
    return Reply(HTTPStatus.FOUND, {"Location": location})


def html() -> Reply:
    """Keep nothing and reply 200 with a page, as something does that is no receiver."""
    return Reply(body=b"<!doctype html><title>Welcome</title>", content_type="text/html")


def json_ok() -> Reply:
    """Keep all and reply 200 in JSON, though it was asked in protobuf."""
    return Reply(body=b"{}", content_type="application/json", keep=True)


def partial(rejected: int, message: str) -> Reply:
    """Keep all but the first so many, and say so in a `partial_success`; 0 with a message is a warning."""
    # Of a log request's response the same bytes say the same.
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return Reply(body=response.SerializeToString(), keep=True, rejected=rejected)


def reset() -> Reply:
    """Keep nothing, and reset the connection in place of a reply."""
    return Reply(manner=Manner.RESET)


def reset_after_keeping() -> Reply:
    """Keep all, and reset the connection in place of a reply: the client cannot know."""
    return Reply(manner=Manner.RESET, keep=True)


def hang(afterwards: Reply = OK) -> Reply:
    """Do nothing until `release()`, then reply this; a client that has hung up by then gets nothing kept."""
    return Reply(manner=Manner.HANGS, afterwards=afterwards)


def slow_drip() -> Reply:
    """Keep nothing, send the head of a 200 and then a byte now and then, until `release()` or the end."""
    return Reply(manner=Manner.DRIPS)


# --- what receivers have in common

ReplyT = TypeVar("ReplyT")


class Gate:
    """Where replies wait that are held back, until they are released or nobody waits for them any more."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._releases = 0

    def release(self) -> None:
        """Let those through that wait now."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def passed(self, gave_up: Callable[[], bool]) -> bool:
        """Block until a release and return True, or until `gave_up` and return False.

        A receiver that stops ends its connections, and so all of them give up.
        """
        with self._changed:
            before = self._releases
            while self._releases == before and not gave_up():
                self._changed.wait(POLL_SECONDS)
            return not gave_up()

    def stays_shut(self, seconds: float) -> bool:
        """Block so long, or until a release; return whether none came."""
        with self._changed:
            before = self._releases
            return not self._changed.wait_for(lambda: self._releases > before, seconds)


class ScriptedReceiver(ABC, Generic[ReplyT]):
    """The script of a receiver and what it received; every method may be called from any thread."""

    def __init__(self, default: ReplyT) -> None:
        self._changed = Condition()
        self._next: deque[ReplyT] = deque()
        self._otherwise: ReplyT | Callable[[list[ReceivedSpan]], ReplyT] = default
        self._spans: list[ReceivedSpan] = []
        self._records: list[ReceivedRecord] = []
        self._requests: list[ReceivedRequest] = []
        self.gate = Gate()

    def __enter__(self) -> Self:
        """Start, and give the receiver."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it for good."""
        self.close()

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is asked, without a path; the same from start to start."""

    @abstractmethod
    def start(self) -> None:
        """Listen."""

    @abstractmethod
    def stop(self) -> None:
        """End every connection and refuse new ones; what was received and the script stay."""

    @abstractmethod
    def close(self) -> None:
        """Stop, and give the port away."""

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans that were kept, in order; one that was sent twice is there twice."""
        with self._changed:
            return list(self._spans)

    @property
    def records(self) -> list[ReceivedRecord]:
        """All log records that were kept, in order."""
        with self._changed:
            return list(self._records)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All that was asked, in order, whatever was replied."""
        with self._changed:
            return list(self._requests)

    def replies(self, *replies: ReplyT) -> None:
        """Reply these to the next requests, one each, behind those that are already waiting."""
        with self._changed:
            self._next.extend(replies)

    def otherwise(self, reply: ReplyT | Callable[[list[ReceivedSpan]], ReplyT]) -> None:
        """Reply this to every request for which no other is waiting.

        A callable is given the spans of the request, none for one with log records; it may be called from
        several threads at once.
        """
        with self._changed:
            self._otherwise = reply

    def release(self) -> None:
        """Let the replies be given that hang now."""
        self.gate.release()

    def wait_for_spans(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedSpan]:
        """Block until at least so many spans are kept and give all; TimeoutError if that does not come."""
        self._wait_for(lambda: len(self._spans), count, "spans", seconds)
        return self.spans

    def wait_for_records(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRecord]:
        """Block until at least so many log records are kept and give all; TimeoutError as above."""
        self._wait_for(lambda: len(self._records), count, "log records", seconds)
        return self.records

    def wait_for_requests(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[ReceivedRequest]:
        """Block until at least so many requests have come, replied to or not, and give all."""
        self._wait_for(lambda: len(self._requests), count, "requests", seconds)
        return self.requests

    def note(self, request: ReceivedRequest) -> None:
        """Keep in mind that this was asked."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def next_reply(self, batch: Batch) -> ReplyT:
        """Take the reply that is due."""
        with self._changed:
            if self._next:
                return self._next.popleft()
            otherwise = self._otherwise
        if callable(otherwise):
            return otherwise(batch.spans)
        return otherwise

    def keep(self, batch: Batch, rejected: int) -> None:
        """Keep what a request carried, without the first so many."""
        with self._changed:
            self._spans += batch.spans[rejected:]
            self._records += batch.records[rejected:]
            self._changed.notify_all()

    def _wait_for(self, number: Callable[[], int], count: int, what: str, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: number() >= count, seconds):
                raise TimeoutError(f"waited {seconds} s for {count} {what}, {number()} came")


# --- HTTP


class Receiver(ScriptedReceiver[Reply]):
    """An OTLP/HTTP receiver for protobuf that runs between `with` and its end.

    It is asked at every path that ends in `/v1/traces` or `/v1/logs`. What no script is asked about: other
    paths (404), other methods (405), other content types and encodings (415), and broken bodies (400).
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Choose a port, 0 for any that is free, and for https the server's side of it."""
        super().__init__(OK)
        self._tls = tls
        self._server = HttpServer(port, tls, self)
        self._port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Where it is asked, without a path; the same from start to start."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """End every connection and refuse new ones; what was received and the script stay."""
        self.close()
        # Bound without listening, a port refuses connections and is given to nobody else.
        self._server = HttpServer(self._port, self._tls, self)

    def close(self) -> None:
        """Stop, and give the port away."""
        self._server.stop()


class HttpServer(ThreadingHTTPServer):
    """A thread for each connection, and all of them ended when it stops."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, tls: ssl.SSLContext | None, receiver: Receiver) -> None:
        """Take the port without listening."""
        self.receiver = receiver
        self._tls = tls
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._mistakes: list[BaseException] = []
        self._thread: Thread | None = None
        super().__init__((LOOPBACK, port), Handler, bind_and_activate=False)
        # HTTPServer would ask for the name that belongs to the address.
        TCPServer.server_bind(self)

    def start(self) -> None:
        """Listen."""
        self.server_activate()
        self._thread = Thread(target=self.serve_forever, args=(POLL_SECONDS,), name="scripted-receiver")
        self._thread.start()

    def stop(self) -> None:
        """Accept no more, end every connection, join every thread; raise what went wrong in one, if any."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        with self._lock:
            for connection in self._connections:
                # Of a TLS connection too, the bare socket is shut: its thread may be reading.
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.server_close()
        for mistake in self._mistakes[:1]:
            raise mistake

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its handshake is left to its own thread."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in mind before its thread begins, so that none is forgotten by a stop."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Talk, until one side has had enough."""
        with suppress(OSError):
            if isinstance(request, ssl.SSLSocket):
                request.do_handshake()
            super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection."""
        with self._lock:
            self._connections.discard(request)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep what went wrong in a thread, to be raised where a test can see it."""
        del request, client_address
        mistake = sys.exc_info()[1]
        if mistake is not None:
            self._mistakes.append(mistake)


class UnusableError(Exception):
    """A request that is no OTLP/HTTP in protobuf; its argument is the status that says so."""

    def __init__(self, code: HTTPStatus) -> None:
        super().__init__(code)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and replies as the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Keep and reply as the script says."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        try:
            batch = unpacked(self.path, self._headers(), body)
        except UnusableError as error:
            self._note(Batch(), body)
            self._play(Batch(), status(error.code))
        else:
            self._note(batch, body)
            self._play(batch, self._receiver.next_reply(batch))

    def do_GET(self) -> None:
        """Refuse: nothing is to be had here. A client that follows a redirect asks so."""
        self._note(Batch(), b"")
        self._give(status(HTTPStatus.METHOD_NOT_ALLOWED))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Write nothing: tests look at the requests."""

    @property
    def _receiver(self) -> Receiver:
        return cast("HttpServer", self.server).receiver

    def _headers(self) -> dict[str, str]:
        return {name.lower(): content for name, content in self.headers.items()}

    def _note(self, batch: Batch, body: bytes) -> None:
        counts = len(batch.spans), len(batch.records), len(body)
        self._receiver.note(ReceivedRequest(self.command, self.path, self._headers(), *counts))

    def _play(self, batch: Batch, reply: Reply) -> None:
        if reply.manner is Manner.HANGS:
            self._hang(batch, reply.afterwards or OK)
            return
        if reply.keep:
            self._receiver.keep(batch, reply.rejected)
        if reply.manner is Manner.RESET:
            self._reset()
        elif reply.manner is Manner.DRIPS:
            self._drip(reply)
        else:
            self._give(reply)

    def _give(self, reply: Reply) -> None:
        self._head(reply, len(reply.body))
        self.wfile.write(reply.body)

    def _head(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(length))
        for name, content in reply.headers.items():
            self.send_header(name, content)
        self.end_headers()

    def _hang(self, batch: Batch, afterwards: Reply) -> None:
        if self._receiver.gate.passed(self._hung_up):
            self._play(batch, afterwards)
        else:
            self.close_connection = True

    def _hung_up(self) -> bool:
        """Tell whether the client has closed; nothing else comes from one that waits."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def _drip(self, reply: Reply) -> None:
        self._head(reply, DRIP_LENGTH)
        self.close_connection = True
        while self._receiver.gate.stays_shut(DRIP_SECONDS):
            self.wfile.write(b"\0")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        # Before the server would shut it in good order.
        self.connection.close()


def unpacked(path: str, headers: Mapping[str, str], body: bytes) -> Batch:
    """Decode a body, or raise `UnusableError`; header names are in lower case."""
    if not path.endswith(("/v1/traces", "/v1/logs")):
        raise UnusableError(HTTPStatus.NOT_FOUND)
    if headers.get("content-type") != PROTOBUF:
        raise UnusableError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        plain = uncompressed(headers.get("content-encoding", "identity"), body)
        if path.endswith("/v1/logs"):
            return logs(ExportLogsServiceRequest.FromString(plain))
        return traces(ExportTraceServiceRequest.FromString(plain))
    except (DecodeError, OSError, EOFError, zlib.error) as error:
        raise UnusableError(HTTPStatus.BAD_REQUEST) from error


def uncompressed(encoding: str, body: bytes) -> bytes:
    """Undo the content encoding; deflate is zlib's format, as HTTP has it."""
    undo: dict[str, Callable[[bytes], bytes]] = {
        "identity": bytes,
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
    }
    if encoding not in undo:
        raise UnusableError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return undo[encoding](body)
