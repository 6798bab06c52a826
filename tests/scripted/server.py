"""A server on a unix socket: a thread for each connection, and all of them ended when it stops."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, UnixStreamServer
from typing import Any

from tests.scripted.connections import EndsConnections


class UnixServer(EndsConnections, UnixStreamServer):
    """Hands each connection to `talk` in a thread of its own."""

    def __init__(self, path: Path, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        super().__init__(str(path), BaseRequestHandler)
        self.serve()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Talk, until one side has had enough."""
        del client_address
        with suppress(ConnectionError):
            self._talk(request)
