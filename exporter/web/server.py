"""The ASGI application, and a uvicorn server on a socket that the daemon opened."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from exporter.web.cross_site_check import CrossSiteCheck
from exporter.web.endpoints import Endpoint
from exporter.web.host_check import AllowedHosts, HostCheck
from exporter.web.openapi import openapi_document
from exporter.web.problems import EXCEPTION_HANDLERS

# Long enough for a response in progress, short enough to stop within seconds.
GRACE_SECONDS = 2
# For how long a client may take nothing of what is sent to it.
STUCK_SECONDS = 30.0
# Of a server that nobody scrapes.
KEEP_ALIVE_SECONDS = 5.0


class ListenError(Exception):
    """The address cannot be listened on; the text is for users."""


class Server(uvicorn.Server):
    """A server that leaves signals to the daemon; uvicorn would end the process before it is drained.

    ``on_shutdown`` is called in the event loop before the server waits for its responses: it ends those that
    would not end by themselves.
    """

    def __init__(self, config: uvicorn.Config, on_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_shutdown = on_shutdown

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
    document = openapi_document(endpoints)

    def openapi(_request: Request) -> Response:
        return JSONResponse(document)

    routes = [*(endpoint.route() for endpoint in endpoints), Route("/openapi.json", openapi), *page_routes]
    open_paths = frozenset(endpoint.path for endpoint in endpoints if endpoint.any_host)
    checks = [
        Middleware(HostCheck, allowed=allowed or AllowedHosts(), open_paths=open_paths),
        Middleware(CrossSiteCheck, external_url=external_url),
    ]
    return Starlette(routes=routes, middleware=checks, exception_handlers=EXCEPTION_HANDLERS)


def open_listener(address: str) -> socket.socket:
    """Return a bound socket for ``HOST:PORT``; without a host, for all addresses. Raises ListenError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    dualstack = not host and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((host, int(port)), family=family, dualstack_ipv6=dualstack)
    except OSError as error:
        # str(error) repeats the address; errors of name resolution have no positive errno.
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenError(f"cannot listen on {address}: {cause}") from error
    # Otherwise each response on a kept connection waits 40 ms for the client's kernel.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client that is gone, or stands still, would keep its stream and what is sent to it for ever.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(STUCK_SECONDS * 1000))
    return listener


def create_server(
    app: Starlette,
    on_shutdown: Callable[[], None] = lambda: None,
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
) -> Server:
    """Return a server of the application, without a log of its own.

    A connection on which nothing is asked for ``keep_alive_seconds`` is closed. A scraper is known by its
    connection, so it must stay open between two scrapes.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=math.ceil(keep_alive_seconds),
        # Who is at the other end of the connection counts, not what a proxy writes about others.
        proxy_headers=False,
    )
    return Server(config, on_shutdown)
