"""Webhook receiver for Alertmanager that keeps all notifications."""

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
    """Notification: its receiver, its path, and the alerts in it."""

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
        """Log nothing."""


class Webhook:
    """Running server; as a context manager it is stopped on exit."""

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
        """Address of the server without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def messages(self) -> list[Message]:
        """All notifications in order."""
        return list(self._server.messages)

    def notifications(self, alertname: str) -> list[tuple[Message, dict[str, Any]]]:
        """Return each notification that contains an alert, with the alert."""
        return [
            (message, alert)
            for message in self.messages
            for alert in message.alerts
            if alert["labels"]["alertname"] == alertname
        ]
