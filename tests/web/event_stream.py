"""A client of server-sent events that reads only when it is asked to."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

PATIENCE_SECONDS = 30
COMMENT = ""
"""The name of the field that a comment is."""

MAX_SILENCES = 2
"""Comments in a row, one each 15 seconds, after which no event is expected any more."""


@dataclass(frozen=True)
class Event:
    """An event as a client dispatches it."""

    type: str
    id: str
    data: Any


class EventStream:
    """An open stream. Reading raises TimeoutError if nothing comes for long."""

    def __init__(self, url: str, last_event_id: str = "", query: Mapping[str, str] | None = None) -> None:
        address = urlsplit(url)
        self._connection = HTTPConnection(str(address.hostname), address.port, PATIENCE_SECONDS)
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._connection.request("GET", f"/api/v1/stream?{urlencode(query or {})}", headers=headers)
        self.response: HTTPResponse = self._connection.getresponse()
        self.status = self.response.status
        self.last_event_id = ""
        self.retry = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave, also in the middle of a message."""
        if self._connection.sock is not None:
            # The server may have left already.
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._connection.close()

    def events(self) -> Iterator[Event]:
        """Yield the events until the server ends the stream."""
        silences = 0
        for fields in self.messages():
            silences += COMMENT in fields
            if silences == MAX_SILENCES:
                raise TimeoutError("nothing but comments came")
            if "data" in fields:
                silences = 0
                yield Event(fields["event"], self.last_event_id, json.loads(fields["data"]))

    def next(self) -> Event:
        """Return the next event."""
        return next(self.events())

    def messages(self) -> Iterator[dict[str, str]]:
        """Yield the fields of each message, also of those that are no event; a comment has no name."""
        fields: dict[str, str] = {}
        for line in iter(self.response.readline, b""):
            if line != b"\n":
                name, _, value = line.decode().removesuffix("\n").partition(": ")
                fields[name] = value
                continue
            self.last_event_id = fields.get("id", self.last_event_id)
            self.retry = fields.get("retry", self.retry)
            yield fields
            fields = {}
