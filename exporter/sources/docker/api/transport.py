"""GET requests to one Docker Engine, over the transports of the docker SDK."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any, TypeVar

from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.answer import TooLargeError
from exporter.sources.docker.api.client import Client
from exporter.sources.docker.api.connection import EngineConnection
from exporter.sources.docker.api.failures import explain_request, failures
from exporter.sources.docker.api.refusals import Refusals
from exporter.sources.docker.api.ssh import enable_sdk_ssh
from exporter.sources.docker.api.status import FORBIDDEN, status_error
from exporter.sources.docker.engine import EngineError

T = TypeVar("T")

# sshd allows ten channels per connection and ten logins at a time; the stream takes one of them.
SSH_REQUESTS = 8
REQUEST_SECONDS = 10


class Transport:
    """Client of one engine; it connects at the first request, so that the engine may be down before.

    ``max_requests`` are sent at the same time, beside one stream. Every request may raise EngineError.
    """

    def __init__(self, address: EngineAddress, max_requests: int) -> None:
        self.address = address
        self.refusals = Refusals()
        self._max_requests = max_requests
        # One is taken by each request while it lasts. A semaphore would take five times as long.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(SSH_REQUESTS if address.is_ssh else max_requests):
            self._slots.put(None)
        self._client: Client | None = None

    def get(self, path: str) -> bytes:
        """Return the body of a response with status 200."""
        return _checked(path, *self._limited(lambda client: client.fetch(path)))

    def get_json(self, path: str) -> Any:
        """Return the body of a response with status 200 as JSON."""
        try:
            return json.loads(self.get(path).decode())
        except ValueError as error:
            raise EngineError(f"{path}: not JSON; is this a Docker Engine?") from error

    def find(self, path: str) -> bytes | None:
        """Return the body of a response with status 200, or None for status 404."""
        status, body = self._limited(lambda client: client.fetch(path))
        self.refusals.note(path, status)
        return None if status == HTTPStatus.NOT_FOUND else _checked(path, status, body)

    def get_limited(self, path: str, max_bytes: int) -> tuple[int, bytes | None]:
        """Return the status and the body, or None instead of a body of more than ``max_bytes``."""
        try:
            status, body = self._limited(lambda client: client.fetch(path, max_bytes))
        except TooLargeError:
            return HTTPStatus.OK, None
        self.refusals.note(path, status)
        if status in FORBIDDEN:
            raise status_error(path.partition("?")[0], status, body)
        return status, body

    def stream(self, path: str, params: dict[str, str]) -> EngineConnection:
        """Return a connection on which an answer with status 200 begins, once its headers are there."""
        try:
            status, connection = self._connect().open(path, params)
            if status == HTTPStatus.OK:
                return connection
            try:
                raise status_error(path, status, connection.read())
            finally:
                connection.close()
        except failures() as error:
            raise EngineError(explain_request(error, self.address)) from error

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _limited(self, request: Callable[[Client], T]) -> T:
        try:
            client = self._connect()
            slot = self._slots.get()
            try:
                return request(client)
            finally:
                self._slots.put(slot)
        except failures() as error:
            raise EngineError(explain_request(error, self.address)) from error

    def _connect(self) -> Client:
        if self._client is None:
            if self.address.is_ssh:
                enable_sdk_ssh()
            self._client = Client(
                base_url=self.address.url,
                version="auto",
                timeout=REQUEST_SECONDS,
                tls=self.address.tls or False,
                # The program ssh knows the user's configuration and agent; a slim image does not have it.
                use_ssh_client=shutil.which("ssh") is not None,
                # One connection for the stream beside one for each request.
                max_pool_size=self._max_requests + 1,
            )
        return self._client


def _checked(path: str, status: int, body: bytes) -> bytes:
    if status != HTTPStatus.OK:
        raise status_error(path.partition("?")[0], status, body)
    return body
