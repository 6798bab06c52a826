"""The stream of changes of jobs, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from exporter.metrics import exporter_metrics
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import Status
from exporter.verdict.catalog import ReasonCatalog
from exporter.verdict.reloadable_catalog import ReloadableCatalog
from exporter.web.change_feed import ChangeFeed
from exporter.web.change_window import ChangeMessage, ChangeWindow
from exporter.web.endpoints import Endpoint, parse_query
from exporter.web.job_query import canonical_reason
from exporter.web.problems import ProblemError
from exporter.web.server_sent_events import (
    HEADERS,
    MEDIA_TYPE,
    event_message,
    keep_alive_message,
    opening_message,
)

MAX_STREAMS = 256
# Well below the minute after which proxies end a silent connection.
KEEP_ALIVE_SECONDS = 15.0
RECONNECT_SECONDS = 2.0
# What is handed to a connection at once; until it has been sent, nothing more is.
_CHUNK_BYTES = 64 << 10
_RESET = '{"detail":"changes since Last-Event-ID are not known any more; load the list of jobs again"}'
_DROPPED = '{"detail":"the client is too many changes behind; connect again"}'


class StreamEvent(BaseModel):
    """One event of the stream."""

    event: Literal["job", "reset", "dropped"] = Field(
        description="job: a job changed. reset: not all changes since Last-Event-ID are known. dropped: the "
        "client is too far behind, and the stream ends."
    )
    id: str = Field(description="What to send as Last-Event-ID to go on after this event.")
    data: str = Field(
        description="Of job, the job as JobView, without its log; else `detail`, what to do.",
        json_schema_extra={"contentMediaType": "application/json"},
    )


class StreamQuery(BaseModel):
    """Conditions for jobs; all must hold after the change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = Field(None, description="Only changes to this status.")
    reason: str | None = Field(None, description="Only jobs that ended for this reason.")
    workload: str | None = Field(None, description="Only jobs of this workload.")
    host: str | None = Field(None, description="Only jobs on this host (`instance` of a job).")
    last_event_id: str = Field(
        "",
        description="Id after which to begin, as the header Last-Event-ID, which overrides it: "
        "browsers send that only when they reconnect.",
    )

    def canonical(self, catalog: ReasonCatalog) -> StreamQuery:
        """Return it with the catalogue's reason. Raises ProblemError if the catalogue does not have it."""
        reason = None if self.reason is None else canonical_reason(self.reason, catalog)
        return self.model_copy(update={"reason": reason})

    def accepts(self, change: ChangeMessage) -> bool:
        """Return whether the job meets all conditions after this change."""
        given = (self.status, self.reason, self.workload, self.host)
        found = (change.status, change.reason, change.workload, change.host)
        return all(wanted in (None, value) for wanted, value in zip(given, found, strict=True))


class StreamRoutes:
    """Streams of the feed's changes; at most ``MAX_STREAMS`` at a time."""

    def __init__(self, feed: ChangeFeed, catalog: ReloadableCatalog, state: MetricState) -> None:
        self._feed = feed
        self._catalog = catalog
        self._state = state

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint(
                "/api/v1/stream",
                "Changes of jobs as server-sent events: job, reset, dropped",
                self.stream,
                query=StreamQuery,
                response_model=StreamEvent,
                media_types=(MEDIA_TYPE,),
                error_responses=(
                    (HTTPStatus.BAD_REQUEST, "A parameter is wrong."),
                    (HTTPStatus.SERVICE_UNAVAILABLE, "Too many streams, or the store cannot be read."),
                ),
            )
        ]

    def stream(self, request: Request) -> Response:
        """Return a stream from the position that the client names, else from now on."""
        query = parse_query(request, StreamQuery).canonical(self._catalog.current)
        if request.method == "HEAD":
            return Response(headers=HEADERS, media_type=MEDIA_TYPE)
        window = self._feed.refresh()
        event_id = request.headers.get("last-event-id") or query.last_event_id
        position = self._feed.position(event_id) if event_id else window.newest
        can_resume = position is not None and window.covers(position)
        reader = _Reader(query, position if position is not None and can_resume else window.newest)
        return _EventStream(self._messages(reader, window, is_reset=not can_resume), self._counted)

    async def _messages(
        self, reader: _Reader, window: ChangeWindow, *, is_reset: bool
    ) -> AsyncIterator[bytes]:
        time = asyncio.get_running_loop().time
        event_id = self._feed.event_id(reader.position)
        yield opening_message(event_id, RECONNECT_SECONDS)
        if is_reset:
            yield event_message("reset", _RESET, event_id)
        due = time() + KEEP_ALIVE_SECONDS
        while not self._feed.ended:
            if reader.position < window.floor:
                self._count_dropped()
                yield event_message("dropped", _DROPPED, self._feed.event_id(reader.position))
                return
            chunk = reader.take(window)
            if chunk or time() >= due:
                yield chunk or keep_alive_message(self._feed.event_id(reader.position))
                due = time() + KEEP_ALIVE_SECONDS
            else:
                window = await self._feed.next_window(window, due - time())

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a stream while it is open. Raises ProblemError if there are too many."""
        if self._feed.streams >= MAX_STREAMS:
            detail = f"{MAX_STREAMS} streams are open, and no more are served; try again later"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        self._add_streams(1)
        try:
            yield
        finally:
            self._add_streams(-1)

    def _add_streams(self, amount: int) -> None:
        self._feed.add_streams(amount)
        changes = MetricUpdate()
        exporter_metrics.set_stream_clients(changes, self._feed.streams)
        self._state.apply(changes)

    def _count_dropped(self) -> None:
        changes = MetricUpdate()
        exporter_metrics.count_stream_dropped(changes)
        self._state.apply(changes)


class _Reader:
    """What one client has read: all changes up to ``position``, of which it wants those of its query."""

    def __init__(self, query: StreamQuery, position: int) -> None:
        self._query = query
        self.position = position

    def take(self, window: ChangeWindow) -> bytes:
        """Return the next messages, empty if there are none, and move on behind them."""
        chunk = bytearray()
        for change in window.after(self.position):
            self.position = change.number
            if self._query.accepts(change):
                chunk += change.message
            if len(chunk) >= _CHUNK_BYTES:
                break
        return bytes(chunk)


class _EventStream(StreamingResponse):
    """A response without an end; ``counted`` is entered while it is sent, and may refuse it."""

    def __init__(
        self, messages: AsyncIterator[bytes], counted: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(messages, headers=HEADERS, media_type=MEDIA_TYPE)
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until the client leaves or the messages end."""
        with self._counted():
            await super().__call__(scope, receive, send)
