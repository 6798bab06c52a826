"""Adapter for a Docker Engine, and for any engine that has its API.

It sends only GET requests: ``/version``, ``/info``, ``/events``, ``/containers/json`` and
``/containers/{id}/json``; ``/images/{id}/json``, once for each image; and ``/containers/{id}/logs`` of
supervised containers, of others if log tails are configured.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import structlog

from exporter.labels import KEPT
from exporter.model import Cursor
from exporter.sources.docker.api import fields, log_frames, log_stream, parse
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.api.event_stream import MAX_LINE_BYTES, DockerEventStream
from exporter.sources.docker.api.images import Image, ImageCache
from exporter.sources.docker.api.scalars import format_time
from exporter.sources.docker.api.transport import Transport
from exporter.sources.docker.engine import (
    EVENT_BUFFER_SIZE,
    EngineError,
    EngineInfo,
    Event,
    EventGap,
    EventStream,
    Inspection,
    RawLogTail,
)
from exporter.workload import UNNAMED, may_be_id, repository

log = structlog.get_logger(__name__)

# A log with longer lines gives fewer of them.
MAX_LOG_BYTES = 2 << 20
# An engine splits long lines, and counts the pieces as lines.
EXTRA_LOG_PIECES = 64
# Three quarters of the buffer: the answer lacks events that happen during the request, since they are later
# than its ``until``. With this many events in it, older ones may have been dropped.
EVENT_BUFFER_FULL = EVENT_BUFFER_SIZE * 3 // 4
_WANTED_EVENTS = {"filters": json.dumps({"type": ["container", "network"], "event": list(parse.ACTIONS)})}
_UNUSABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class DockerEngine:
    """Docker Engine; it connects at the first call, so that the engine may be down before.

    ``labels`` are the names of the container labels to keep.
    """

    def __init__(
        self,
        address: EngineAddress,
        *,
        max_requests: int = 16,
        labels: Iterable[str] = KEPT,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._transport = Transport(address, max_requests)
        self._labels = tuple(labels)
        self._max_line_bytes = max_line_bytes
        self._images = ImageCache(self._read_image)

    @property
    def address(self) -> str:
        """URL of the engine, for users, logs and metrics."""
        return self._transport.address.url

    @property
    def is_local(self) -> bool:
        """True if the engine is reached over a socket of this machine."""
        return self._transport.address.is_local

    def on_refusal(self, listener: Callable[[tuple[str, ...]], None]) -> None:
        """Call ``listener`` with what is missing, whenever other requests are refused than before."""
        self._transport.refusals.listener = listener

    def info(self) -> EngineInfo:
        """Return the identity of the engine and its clock."""
        try:
            return parse.info(self._transport.get_json("/info"))
        except _UNUSABLE as error:
            raise EngineError("/info: unusable answer; is this a Docker Engine?") from error

    def events(self, since_ns: int | None = None) -> EventStream:
        """Open a stream of new events; with ``since_ns``, buffered events since then come first."""
        since = {} if since_ns is None else {"since": format_time(since_ns)}
        connection = self._transport.stream("/events", _WANTED_EVENTS | since)
        return DockerEventStream(connection, self._parse_event, self._max_line_bytes)

    def event_gap(self, cursor: Cursor, now_ns: int) -> EventGap:
        """Return whether events since the cursor are lost."""
        event_ns = cursor.event_ns
        if event_ns and self.buffered_events(event_ns, event_ns):
            return EventGap.NONE
        times = self._buffered_times(now_ns)
        if len(times) < EVENT_BUFFER_FULL:
            # The buffer goes back to the engine's start. An event that is not in it was before that start.
            return EventGap.RESTARTED if event_ns else EventGap.NONE
        return EventGap.OVERRUN if min(times) > max(event_ns, cursor.read_until_ns) else EventGap.NONE

    def event_buffer_complete(self, now_ns: int) -> bool:
        """Return whether the engine still has all events since its own start."""
        return len(self._buffered_times(now_ns)) < EVENT_BUFFER_FULL

    def buffered_events(self, since_ns: int, until_ns: int) -> list[Event]:
        """Return the events of that time that the engine still has, as the stream would send them."""
        lines = self._buffered_lines(since_ns, until_ns, _WANTED_EVENTS)
        return [event for event in map(self._parse_event, lines) if event.container_id]

    def _parse_event(self, line: bytes) -> Event:
        return parse.event(line, self._labels)

    def _buffered_times(self, until_ns: int) -> list[int]:
        return [parse.event_time_ns(line) for line in self._buffered_lines(1, until_ns, {})]

    def _buffered_lines(self, since_ns: int, until_ns: int, filters: dict[str, str]) -> list[bytes]:
        # Without ``until``, the response would not end.
        times = _time_range(since_ns, max(since_ns, until_ns))
        return self._transport.get(f"/events?{urlencode(times | filters)}").splitlines()

    def container_ids(self) -> list[str]:
        """Return the ids of all containers, in any state."""
        body = self._transport.get("/containers/json?all=1")
        try:
            return [str(row["Id"]) for row in fields.container_list(body)]
        except _UNUSABLE as error:
            raise EngineError("/containers/json: unusable answer; is this a Docker Engine?") from error

    def inspect(self, container_id: str) -> Inspection | None:
        """Return the state of a container, or None if it does not exist."""
        body = self._transport.find(_container_path(container_id, "json"))
        if body is None:
            return None
        try:
            inspection = parse.inspection(fields.inspection(body), self._labels)
        except _UNUSABLE as error:
            raise EngineError(f"unusable answer about {container_id[:12]}: {error!r}") from error
        return self._with_image_names(inspection) if inspection.image_id else inspection

    def _with_image_names(self, inspection: Inspection) -> Inspection:
        known_as, digests = self._repository_of(inspection), self._digests(inspection)
        if not known_as and not digests:
            return inspection
        return replace(inspection, repository=known_as, image_digests=digests)

    def _repository_of(self, inspection: Inspection) -> str:
        """Return the repository of an image whose name does not show it, else an empty text."""
        image_id, name = inspection.image_id, inspection.image
        if parse.is_id_prefix(name, image_id):
            return self._repository(image_id)
        return name if may_be_id(name) else ""

    def _digests(self, inspection: Inspection) -> tuple[str, ...]:
        image_id = inspection.image_id
        if parse.is_digest(inspection.image):
            return (inspection.image,)
        try:
            # The exit of a container that has ended does not wait for another request.
            read = self._images.known if inspection.has_ended else self._images.try_once
            found = read(image_id)
        except EngineError as error:
            log.info("cannot read the digests of an image", image=image_id, cause=str(error))
            return ()
        return () if found is None else found.digests

    def _repository(self, image_id: str) -> str:
        try:
            return self._images.get(image_id).repository
        except EngineError as error:
            # The rest of the inspection is usable without it.
            log.warning("cannot read the name of an image", image=image_id, cause=str(error))
            return UNNAMED

    def _read_image(self, image_id: str) -> Image:
        body = self._transport.find(f"/images/{image_id}/json")
        if body is None:
            # The image was removed by force while its container stays.
            return Image(UNNAMED)
        try:
            message = json.loads(body.decode())
            return Image(repository(parse.image_name(message)), parse.image_digests(message))
        except _UNUSABLE as error:
            raise EngineError(f"unusable answer about {image_id}: {error!r}") from error

    def follow_log(self, container_id: str, since_ns: int) -> AsyncGenerator[tuple[int, str], None]:
        """Return the lines of a container's standard output, with their times, until it ends."""
        return log_stream.read_log(
            self._transport.address, container_id, since_ns, self._transport.refusals.note
        )

    def log_tail(self, container_id: str, lines: int, since_ns: int, until_ns: int) -> RawLogTail | None:
        """Return at least the last lines of a container's log in that time, or None if there is no log."""
        pieces = lines + EXTRA_LOG_PIECES
        while pieces:
            query: dict[str, Any] = {"stdout": 1, "stderr": 1, "tail": pieces}
            log_query = urlencode(query | _time_range(since_ns, until_ns))
            path = _container_path(container_id, f"logs?{log_query}")
            status, body = self._transport.get_limited(path, MAX_LOG_BYTES)
            if status != HTTPStatus.OK:
                # The container does not exist, or its log driver cannot be read.
                return None
            if body is not None:
                return log_frames.log_tail(body, pieces)
            pieces //= 2
        return None

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._transport.close()


def _container_path(container_id: str, rest: str) -> str:
    return f"/containers/{quote(container_id, safe='')}/{rest}"


def _time_range(since_ns: int, until_ns: int) -> dict[str, str]:
    return {"since": format_time(since_ns), "until": format_time(until_ns)}
