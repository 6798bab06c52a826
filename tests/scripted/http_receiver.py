"""OTLP/HTTP receiver with scripted replies, which keeps what it accepts."""

import gzip
import select
import socket
import ssl
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer
from typing import Any, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.scripted.connections import EndsConnections
from tests.scripted.http_replies import OK, PROTOBUF, Manner, Reply, status
from tests.scripted.received import Batch, ReceivedRequest, logs, traces
from tests.scripted.receiver_script import ScriptedReceiver

LOOPBACK = "127.0.0.1"

DRIP_SECONDS = 0.1
"""Seconds between the bytes of a slow reply."""

DRIP_LENGTH = 1_000_000
"""Content length of a slow reply."""

NO_LINGER = struct.pack("ii", 1, 0)
"""Option with which closing a socket resets the connection."""


class Receiver(ScriptedReceiver[Reply]):
    """OTLP/HTTP receiver for protobuf, running between `__enter__` and `__exit__`.

    It is asked at every path that ends in `/v1/traces` or `/v1/logs`. What no script is asked about: other
    paths (404), other methods (405), other content types and encodings (415), and broken bodies (400).
    """

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Set the port, 0 for any free one, and the server's TLS context."""
        super().__init__(OK)
        self._tls = tls
        self._server = HttpServer(port, tls, self)
        self._port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """URL without a path; it stays the same after a restart."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Close all connections and refuse new ones; the log and the script stay."""
        self.close()
        # A port that is bound without listening refuses connections, and is given to no other process.
        self._server = HttpServer(self._port, self._tls, self)

    def close(self) -> None:
        """Stop, and free the port."""
        self._server.stop()


class HttpServer(EndsConnections, HTTPServer):
    """HTTP server of a receiver."""

    def __init__(self, port: int, tls: ssl.SSLContext | None, receiver: Receiver) -> None:
        """Bind the port without listening."""
        self.receiver = receiver
        self._tls = tls
        super().__init__((LOOPBACK, port), Handler, bind_and_activate=False)
        # HTTPServer would look up the name of the address.
        TCPServer.server_bind(self)

    def start(self) -> None:
        """Listen."""
        self.server_activate()
        self.serve()

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection; its TLS handshake is done in its own thread."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection until one side closes it."""
        with suppress(OSError):
            if isinstance(request, ssl.SSLSocket):
                request.do_handshake()
            super().finish_request(request, client_address)


class UnusableError(Exception):
    """Request that is not OTLP/HTTP in protobuf; the argument is the status of the reply."""

    def __init__(self, code: HTTPStatus) -> None:
        super().__init__(code)
        self.code = code


class Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and sends the scripted replies."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Record a request and send the reply."""
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
        """Reject a GET, which a client sends that follows a redirect."""
        self._note(Batch(), b"")
        self._give(status(HTTPStatus.METHOD_NOT_ALLOWED))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Log nothing: tests look at the requests."""

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
        """Return whether the client has closed the connection."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def _drip(self, reply: Reply) -> None:
        self._head(reply, DRIP_LENGTH)
        self.close_connection = True
        while self._receiver.gate.stays_shut(DRIP_SECONDS):
            self.wfile.write(b"\0")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        # Before the server closes the connection in order.
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
