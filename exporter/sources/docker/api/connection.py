"""Connections to an engine: one GET after another over sockets that the docker SDK's transports open."""

from __future__ import annotations

import select
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.client import RemoteDisconnected
from typing import Any

from urllib3.connection import HTTPConnection

from exporter.sources.docker.api.answer import MAX_ANSWER_BYTES, Answer
from exporter.sources.docker.api.failures import failures
from exporter.sources.docker.api.ssh import SshConnection

_CHUNK_BYTES = 1 << 16


class StaleConnectionError(ConnectionError):
    """A connection that had carried answers was closed before the first byte of another."""


class EngineConnection:
    """An open connection; ``headers`` are those of each request.

    It parses answers with httptools: urllib3 takes fifteen times as long, more than all else about an exit.
    Besides EngineError, its methods raise ``failures()``.
    """

    def __init__(self, opened: HTTPConnection, headers: bytes) -> None:
        self._opened = opened
        # A channel of paramiko has what is used of a socket.
        self._socket: Any = opened.sock
        # Made once: urllib3 makes one for each question whether a connection is still good.
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        self._headers = headers
        self._answer = Answer()

    @property
    def keeps_alive(self) -> bool:
        """Whether another request can be sent: the last answer is complete, and the engine did not refuse."""
        return self._answer.keeps_alive

    @property
    def is_connected(self) -> bool:
        """Whether the engine has neither closed the connection nor sent what was not asked for."""
        return not self._readable.poll(0)

    def ask(self, target: str, max_bytes: int = MAX_ANSWER_BYTES) -> int:
        """Send a GET, and return the status of the answer once its headers are there.

        Raises StaleConnectionError if it can be sent once more over a new connection.
        """
        is_reused = self._answer.is_complete
        self._answer = Answer(max_bytes)
        try:
            self._socket.sendall(b"GET %b HTTP/1.1\r\n%b\r\n" % (target.encode("ascii"), self._headers))
            self._await_headers()
        except (ConnectionError, ssl.SSLEOFError) as error:
            if is_reused and not self._answer.has_begun:
                raise StaleConnectionError from error
            if isinstance(self._opened, SshConnection):
                raise ConnectionError(self._opened.last_message()) from None
            raise
        return self._answer.status

    def read(self) -> bytes:
        """Return the body."""
        while not self._answer.is_complete:
            self._receive()
        return self._answer.take()

    def read_part(self) -> bytes:
        """Return the next part of the body as soon as it comes; nothing after the last."""
        while not (part := self._answer.take()) and not self._answer.is_complete:
            self._receive()
        return part

    def lift_timeout(self) -> None:
        """Let the body be silent, and go on, for as long as it wants."""
        self._socket.settimeout(None)
        self._answer.lift_deadline()

    def close(self) -> None:
        """Close the connection; a thread that reads it stops."""
        # TLS within that of a proxy cannot be shut down; what it runs over can.
        shut_down = getattr(self._socket, "socket", self._socket).shutdown
        with suppress(*failures()):
            shut_down(socket.SHUT_RDWR)
        with suppress(*failures()):
            self._opened.close()

    def _await_headers(self) -> None:
        try:
            while not self._answer.status:
                self._receive()
        except EOFError:
            raise RemoteDisconnected("the connection was closed without an answer") from None

    def _receive(self) -> None:
        self._answer.feed(self._socket.recv(_CHUNK_BYTES))


class IdleConnections:
    """Connections that are open and not in use. Methods may be called from any thread."""

    def __init__(self, connect: Callable[[], EngineConnection]) -> None:
        self._connect = connect
        self._idle: deque[EngineConnection] = deque()
        self._is_closed = False

    def take(self) -> EngineConnection:
        """Return the connection used last, or a new one if there is none that the engine has not closed."""
        while (connection := self._pop()) is not None:
            if connection.is_connected:
                return connection
            connection.close()
        return self._connect()

    def put_back(self, connection: EngineConnection) -> None:
        """Keep a connection for another request, if it can carry one."""
        if connection.keeps_alive and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close them, and keep none that are put back later."""
        self._is_closed = True
        while (connection := self._pop()) is not None:
            connection.close()

    def _pop(self) -> EngineConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None
