"""How many connections are open, which of them give way to new ones, and how long each may take.

A new connection is always let in: at the limit, the one that matters least is closed for it. So whoever keeps
connections open, idle or sending slowly, loses those, and no scrape.
"""

from __future__ import annotations

import asyncio
import resource
import select
from collections import Counter
from typing import Any, Protocol, cast

from h11 import DONE, IDLE, MUST_CLOSE, SEND_BODY, SEND_RESPONSE
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MAX_CONNECTIONS = 512
# The event loop has a buffer of 256 KiB for each of them.
MAX_TLS_CONNECTIONS = 128
# Descriptors for the database, the log and the engines, of which each needs about twenty at a time.
RESERVED_FILES = 128
# For how long a request may be on its way, from the first byte or the beginning of the connection.
REQUEST_SECONDS = 10.0
# How long a connection that has scraped nothing stays open between two requests.
IDLE_SECONDS = 5
# For how long a client may take nothing of what is sent to it.
STUCK_SECONDS = 30.0
_SCRAPED = "scraped"
# In the state of a request: whether the client has gone, and what to call if the connection is lost later.
HAS_GONE, ON_LOST = "has_gone", "on_lost"


class Connection(Protocol):
    """A connection as the limits see it."""

    address: str

    @property
    def importance(self) -> tuple[bool, bool, float]:
        """How much it matters: has scraped, is being answered, when it was last used."""

    def drop(self) -> None:
        """Close it at once."""


class Connections:
    """All open connections: at most ``limit``, and half of them from one address."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Add a new connection, for which others are closed if there are too many."""
        address = connection.address
        if self._by_address[address] >= max(1, self._limit // 2):
            self._drop_one([each for each in self._open if each.address == address])
        if len(self._open) >= self._limit:
            self.drop_one()
        self._open.add(connection)
        self._by_address[address] += 1

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        if connection in self._open:
            self._open.remove(connection)
            self._by_address -= Counter([connection.address])

    def drop_one(self) -> None:
        """Close the connection that matters least, if there is one."""
        self._drop_one(list(self._open))

    def _drop_one(self, candidates: list[Connection]) -> None:
        if candidates:
            least = min(candidates, key=lambda each: each.importance)
            self.remove(least)
            least.drop()


def connection_limit(*, has_tls: bool) -> int:
    """Return how many connections fit into memory, and into the descriptors that this process may open."""
    most = MAX_TLS_CONNECTIONS if has_tls else MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files < 0 else max(8, min(most, files - RESERVED_FILES))


def note_scrapes(app: ASGIApp, telemetry_path: str) -> ASGIApp:
    """Return an application that tells the connection which requests were scrapes that were let in."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][_SCRAPED] = scope["path"] == telemetry_path
        await app(scope, receive, send)

    return noted


class BoundedConnection(H11Protocol):
    """A connection whose requests must arrive, and whose answers must be taken, within a time.

    It takes the place of ``predecessor``, which is the same connection before it had a protocol.
    """

    def __init__(self, connections: Connections, predecessor: Connection, **parameters: Any) -> None:
        super().__init__(**parameters)
        self._connections = connections
        self._predecessor = predecessor
        self._kept_seconds = self.timeout_keep_alive
        self.timeout_keep_alive = min(IDLE_SECONDS, self._kept_seconds)
        self._has_scraped = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._used_at = self.loop.time()
        self.address = predecessor.address
        self.app_state = {**self.app_state, HAS_GONE: self._has_gone}

    @property
    def importance(self) -> tuple[bool, bool, float]:
        """How much it matters; that it stands still makes it idle."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_idle = cycle is None or cycle.response_complete or self._stuck is not None
        return self._has_scraped, not is_idle, self._used_at

    def drop(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._connections.remove(self._predecessor)
        self._connections.add(self)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._connections.remove(self)
        for timer in (self._deadline, self._stuck):
            if timer is not None:
                timer.cancel()
        if self.scope is not None:
            self.scope["state"].get(ON_LOST, lambda: None)()
        # Of a connection that was reset, uvicorn forgets it, and would keep the whole connection until then.
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        self._await_request()
        super().data_received(data)
        if self.conn.their_state in {DONE, MUST_CLOSE}:
            self._end_waiting()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or no body of the one that is being answered."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None:
            # The application must not answer as well.
            cycle.disconnected = True
        if self.conn.our_state in {IDLE, SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            # An answer that has begun cannot become another one.
            self.transport.close()

    def _should_upgrade(self) -> bool:
        """Ignore that a client offers another protocol, as a server may; uvicorn would log about it."""
        return False

    def on_response_complete(self) -> None:
        """Keep a connection that scrapes open for longer."""
        self._used_at = self.loop.time()
        if self.scope["state"].get(_SCRAPED):
            self._has_scraped = True
            self.timeout_keep_alive = self._kept_seconds
        super().on_response_complete()
        if self.conn.their_state is SEND_BODY:
            # Nothing reads a body that is still on its way.
            self.transport.close()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what is sent."""
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.drop)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _has_gone(self) -> bool:
        """Return whether the client has closed the connection, also if that was not read yet."""
        if self.transport.is_closing():
            return True
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poller.poll(0))

    def _await_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.drop)

    def _end_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
