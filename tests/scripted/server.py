"""Server on a unix socket, with a thread for each connection."""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, UnixStreamServer
from typing import Any

from tests.scripted.connections import EndsConnections


class UnixServer(EndsConnections, UnixStreamServer):
    """Calls `talk` with each connection, in a thread of its own."""

    def __init__(self, path: Path, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        super().__init__(str(path), BaseRequestHandler)
        self.serve()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection until one side closes it."""
        del client_address
        with suppress(ConnectionError):
            self._talk(request)
