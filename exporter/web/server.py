"""The ASGI application, and a uvicorn server on a socket that the daemon opened."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from exporter.web.acceptor import Acceptor
from exporter.web.basic_auth import BasicAuth
from exporter.web.connections import (
    BoundedConnection,
    Connection,
    Connections,
    connection_limit,
    note_scrapes,
)
from exporter.web.cross_site_check import CrossSiteCheck
from exporter.web.endpoints import Endpoint
from exporter.web.host_check import AllowedHosts, HostCheck
from exporter.web.live_config import LiveWebConfig
from exporter.web.openapi import openapi_document
from exporter.web.problems import EXCEPTION_HANDLERS
from exporter.web.request_limits import RequestLimits
from exporter.web.response_headers import ResponseHeaders
from exporter.web.service_manager import ServiceManager

# Long enough for a response in progress, short enough to stop within seconds.
GRACE_SECONDS = 2
# How often the date in answers is renewed, and systemd told that the event loop runs.
TICK_SECONDS = 1.0
# Of a server that nobody scrapes.
KEEP_ALIVE_SECONDS = 5.0


class Server(uvicorn.Server):
    """A server that leaves signals to the daemon; uvicorn would end the process before it is drained.

    ``on_shutdown`` is called in the event loop before the server waits for its responses: it ends those that
    would not end by themselves.
    """

    def __init__(self, config: uvicorn.Config, on_shutdown: Callable[[], None]) -> None:
        self._is_exiting = False
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(config)
        self._on_shutdown = on_shutdown

    @property
    def should_exit(self) -> bool:
        """Whether it ends as soon as it can; may be set by any thread, and by a signal handler."""
        return self._is_exiting

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._is_exiting = value
        if value and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def main_loop(self) -> None:
        """Return when it shall end; uvicorn looks for that ten times a second."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            next_tick = self._loop.call_later(TICK_SECONDS, self._wake.set)
            await self._wake.wait()
            self._wake.clear()
            next_tick.cancel()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, within their limits."""
        connections = Connections(connection_limit(has_tls=self.config.ssl is not None))

        def protocol(predecessor: Connection) -> BoundedConnection:
            return BoundedConnection(
                connections,
                predecessor,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        acceptors = [Acceptor(each, protocol, self.config.ssl, connections) for each in sockets or ()]
        for acceptor in acceptors:
            acceptor.start()
        self.servers = acceptors  # type: ignore[assignment]  # they have what uvicorn uses of its own
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all responses, and close all connections."""
        self._on_shutdown()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def create_app(
    endpoints: Iterable[Endpoint],
    page_routes: Iterable[BaseRoute] = (),
    allowed: AllowedHosts | None = None,
    external_url: str = "",
) -> Starlette:
    """Return the application of these endpoints, with their OpenAPI document, and of the page.

    It answers to IP addresses, ``localhost`` and the ``allowed`` names.
    """
    endpoints = list(endpoints)
    routes = [*(endpoint.route() for endpoint in endpoints), _openapi_route(endpoints), *page_routes]
    open_paths = frozenset(endpoint.path for endpoint in endpoints if endpoint.any_host)
    checks = [
        Middleware(HostCheck, allowed=allowed or AllowedHosts(), open_paths=open_paths),
        Middleware(CrossSiteCheck, external_url=external_url),
    ]
    return Starlette(routes=routes, middleware=checks, exception_handlers=EXCEPTION_HANDLERS)


def _openapi_route(endpoints: Sequence[Endpoint]) -> Route:
    # Not before somebody asks: it takes a tenth of the time of a start, and few ever do.
    @cache
    def document() -> Mapping[str, Any]:
        return openapi_document(endpoints)

    return Route("/openapi.json", lambda _request: JSONResponse(document()))


def create_server(  # noqa: PLR0913  # each is a thing of its own
    app: Starlette,
    on_shutdown: Callable[[], None] = lambda: None,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
    *,
    web_config: LiveWebConfig | None = None,
    manager: ServiceManager | None = None,
    telemetry_path: str = "/metrics",
) -> Server:
    """Return a server of the application, without a log of its own; with TLS and passwords if configured.

    A connection that has scraped, and on which nothing is asked for ``keep_alive_seconds``, is closed. A
    scraper is known by its connection, so it must stay open between two scrapes.
    """
    noted = note_scrapes(app, telemetry_path)
    guarded = noted if web_config is None else _guarded(noted, web_config)
    config = uvicorn.Config(
        RequestLimits(guarded),
        log_config=None,
        access_log=False,
        lifespan="off",
        # Whatever libraries are installed: after an upgrade, none of the limits would hold.
        ws="none",
        # Connections are of h11, which has them (`connections.py`); the other one is not loaded for nothing.
        http="h11",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=math.ceil(keep_alive_seconds),
        # Who is at the other end of the connection counts, not what a proxy writes about others.
        proxy_headers=False,
        # Else uvicorn reads WEB_CONCURRENCY, and does not start if that is no number.
        workers=1,
        callback_notify=manager.beat if manager else None,
        timeout_notify=manager.interval_seconds if manager else 0,  # type: ignore[arg-type]  # it only compares
    )
    config.load()
    if web_config is not None:
        config.ssl = web_config.tls_context()
    return Server(config, on_shutdown)


def _guarded(app: ASGIApp, web_config: LiveWebConfig) -> ASGIApp:
    asked = BasicAuth(app, lambda: web_config.current.users)
    return ResponseHeaders(asked, lambda: web_config.current.headers)
