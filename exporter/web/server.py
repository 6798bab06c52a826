"""Serving: uvicorn on a socket of our own, ended by us and not by its own handling of signals."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

# Long enough for an answer under way, short enough that stopping takes seconds.
GRACE_SECONDS = 2


class ListenError(Exception):
    """The address cannot be listened on; the text is for people."""


class Server(uvicorn.Server):
    """A server that leaves signals to the daemon: uvicorn would end the process before we have drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def listen(address: str) -> socket.socket:
    """A bound socket for ``HOST:PORT``; an empty host means all. Raises ListenError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
    dual = not host and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((host, int(port)), family=family, dualstack_ipv6=dual)
    except OSError as error:
        # socket puts the address into the text a second time; names that cannot be resolved have no errno.
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenError(f"cannot listen on {address}: {cause}") from error
    # Without it each answer on a connection that is kept waits 40 ms for the client's kernel.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def make_server(site: Starlette) -> Server:
    """A server for the site; it says nothing by itself, the daemon does."""
    config = uvicorn.Config(
        site,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    return Server(config)
