"""Connections to the scripted engine: requests are read and answered, and streams are served."""

import select
import socket
from collections.abc import Callable
from http import HTTPStatus

from tests.scripted.api import Api
from tests.scripted.event_log import Ending, Stream
from tests.scripted.faults import Faults
from tests.scripted.request_log import RequestLog
from tests.scripted.wire import CLOSING_CHUNK, Answer, Request, chunk, head, read_request

LONGEST_POLL_SECONDS = 3600.0


class Conversation:
    """Handler of all connections, each in its own thread."""

    def __init__(self, api: Api, faults: Faults, requests: RequestLog) -> None:
        self._api = api
        self._faults = faults
        self._requests = requests

    def hold(self, connection: socket.socket) -> None:
        """Answer requests until the client or an answer ends the connection."""
        with connection.makefile("rb") as reader:
            is_reused = False
            while (request := read_request(reader)) is not None:
                if not (self._respond(connection, request, is_reused=is_reused) and request.keeps_alive):
                    return
                is_reused = True

    def _respond(self, connection: socket.socket, request: Request, *, is_reused: bool) -> bool:
        """Answer one request; return whether the connection stays open."""
        self._requests.add(request)
        self._faults.wait(request.path)
        failure = self._faults.next_failure(request.path, is_reused=is_reused)
        reply = failure.answer if failure is not None else self._api.reply(request)
        if isinstance(reply, Stream):
            return self._serve(connection, request, reply)
        if reply is not None:
            self._send(connection, request, reply)
        return reply is not None

    def _send(self, connection: socket.socket, request: Request, answer: Answer) -> None:
        """Send an answer; its body unless the request was HEAD."""
        own = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        first = head(answer.status, {**self._api.headers(), **answer.headers, **own})
        whole = first if request.method == "HEAD" else first + answer.body
        self._requests.add_answer(len(whole))
        connection.sendall(whole)

    def _serve(self, connection: socket.socket, request: Request, stream: Stream) -> bool:
        """Send a stream to its end; return whether the connection stays open."""
        own = {"Content-Type": self._api.stream_type(request), "Transfer-Encoding": "chunked"}
        try:
            connection.sendall(head(HTTPStatus.OK, {**self._api.headers(), **own}))
            return pump(connection, stream, self._requests.add_answer) is Ending.CLOSED
        finally:
            self._api.log.close(stream)


def pump(connection: socket.socket, stream: Stream, count: Callable[[int], None]) -> Ending:
    """Send the lines of a stream as they come, each in its own chunk, until it ends or the reader leaves.

    `count` is called with the bytes that are sent.
    """
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    poller.register(stream, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll(milliseconds(stream.seconds_left()))}
        lines, ending = stream.take()
        last = CLOSING_CHUNK if ending is Ending.CLOSED else b""
        sent = b"".join([*map(chunk, lines), last])
        count(len(sent))
        connection.sendall(sent)
        if ending is not None:
            return ending
        if connection.fileno() in ready:
            return Ending.TORN


def milliseconds(seconds: float) -> float:
    """Return the longest wait in milliseconds for `poll`; never below 0, which would be no limit."""
    return 1000 * min(max(0.0, seconds), LONGEST_POLL_SECONDS)
