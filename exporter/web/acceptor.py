"""Accepts connections, a few at a time, so that their number is bounded before descriptors run out.

The event loop's own server accepts as many as wait before it begins the first of them. Out of descriptors,
it logs each of them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable

import structlog

from exporter.web.connections import Connection, Connections

log = structlog.get_logger(__name__)

# Of those that wait; the others' turn comes after what else there is to do.
_AT_ONCE = 16
_REST_SECONDS = 0.2
_HANDSHAKE_SECONDS = 10.0
# As many handshakes begin within a while as leave each the time to end before newer ones take its place.
_HANDSHAKES = 16
_HANDSHAKES_WITHIN_SECONDS = 0.1
_LOG_SECONDS = 60.0


class Acceptor:
    """Accepts from a listener until it is closed; each connection gets a protocol of its own."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[Connection], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        connections: Connections,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._tls = tls
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._handshakes: deque[float] = deque([float("-inf")] * _HANDSHAKES, _HANDSHAKES)
        self._said_at = float("-inf")

    def start(self) -> None:
        """Begin to accept."""
        self._listener.setblocking(False)  # noqa: FBT003  # as the standard library has it
        self._resume()

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listener)
        if self._rest is not None:
            self._rest.cancel()
        for task in self._beginning:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when no connection is about to begin."""
        await asyncio.gather(*self._beginning, return_exceptions=True)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._accept_some)

    def _accept_some(self) -> None:
        for _ in range(_AT_ONCE):
            if (wait := self._seconds_until_next()) > 0:
                self._rest_for(wait)
                return
            try:
                client, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._begin(client)

    def _seconds_until_next(self) -> float:
        """Return how long no further handshake may begin; 0 or less if one may."""
        return self._handshakes[0] + _HANDSHAKES_WITHIN_SECONDS - self._loop.time() if self._tls else 0

    def _begin(self, client: socket.socket) -> None:
        client.setblocking(False)  # noqa: FBT003
        self._handshakes.append(self._loop.time())
        beginning = _Beginning(client, self._connections)
        task = self._loop.create_task(self._connect(beginning))
        beginning.task = task
        self._beginning.add(task)
        task.add_done_callback(beginning.end)
        task.add_done_callback(self._beginning.discard)

    async def _connect(self, beginning: _Beginning) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(beginning),
                beginning.client,
                ssl=self._tls,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS if self._tls else None,
            )
        except OSError as error:
            # A handshake that failed, or a client that has left: nothing of ours.
            log.debug("connection not begun", client=beginning.address, cause=str(error))

    def _rest_for(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._rest = self._loop.call_later(seconds, self._resume)

    def _pause(self, error: OSError) -> None:
        """Make room, and accept again a little later; the listener would be reported as ready at once."""
        self._connections.drop_one()
        self._rest_for(_REST_SECONDS)
        now = self._loop.time()
        if now - self._said_at >= _LOG_SECONDS:
            self._said_at = now
            log.error("connections cannot be accepted", cause=error.strerror, open=len(self._connections))


class _Beginning:
    """A connection that was accepted and has no protocol yet: its TLS handshake is under way."""

    task: asyncio.Task[None] | None = None

    def __init__(self, client: socket.socket, connections: Connections) -> None:
        self.client = client
        self.address = _host(client)
        self._since = asyncio.get_running_loop().time()
        self._connections = connections
        connections.add(self)

    @property
    def importance(self) -> tuple[bool, bool, float]:
        return False, False, self._since

    def drop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def end(self, task: asyncio.Task[None]) -> None:
        self._connections.remove(self)
        if task.cancelled():
            # It may not even have begun, and then nobody else closes it.
            self.client.close()


def _host(client: socket.socket) -> str:
    try:
        name = client.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) and name else ""
