"""Who is told by Alertmanager: a server that keeps every message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self, cast

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Message:
    """What one receiver was told at once."""

    receiver: str
    path: str
    alerts: list[dict[str, Any]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[Message] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = cast("_Server", self.server)
        server.messages.append(Message(body["receiver"], self.path, body["alerts"]))
        self.send_response(HTTPStatus.OK)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


class Webhook:
    """A running server; as a context manager it is gone on exit."""

    def __init__(self) -> None:
        self._server = _Server()
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_SECONDS,))

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def messages(self) -> list[Message]:
        """All that came, in order."""
        return list(self._server.messages)

    def told(self, alertname: str) -> list[tuple[Message, dict[str, Any]]]:
        """Every telling of an alert, with the message that it came in."""
        return [
            (message, alert)
            for message in self.messages
            for alert in message.alerts
            if alert["labels"]["alertname"] == alertname
        ]
