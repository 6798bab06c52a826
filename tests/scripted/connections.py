"""A server whose connections, and the threads that serve them, all end when it stops."""

import socket
import sys
from contextlib import suppress
from socketserver import TCPServer, ThreadingMixIn
from threading import Lock, Thread, current_thread
from typing import Any

POLL_SECONDS = 0.02
"""Seconds until the server notices that it must stop."""


class EndsConnections(ThreadingMixIn, TCPServer):
    """Mix-in for a server: a thread for each connection."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        """Bind the address; listening is left to the server."""
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._mistakes: list[BaseException] = []
        self._thread: Thread | None = None
        super().__init__(*arguments, **settings)

    def serve(self) -> None:
        """Accept connections, in a thread of its own."""
        self._thread = Thread(target=self.serve_forever, args=(POLL_SECONDS,), name=type(self).__name__)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and join all threads. Raises the error of a thread, if there was one."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        with self._lock:
            for connection in self._connections:
                # Also for TLS, the bare socket is shut down, since its thread may be reading.
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        self.server_close()
        for mistake in self._mistakes[:1]:
            raise mistake

    def process_request(self, request: Any, client_address: Any) -> None:
        """Register the connection before its thread starts, so that a stop closes it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Name the thread after the server."""
        current_thread().name = f"{type(self).__name__} connection"
        super().process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close the connection."""
        with self._lock:
            self._connections.discard(request)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the error of a thread, so that a test sees it when the server stops."""
        del request, client_address
        mistake = sys.exc_info()[1]
        if mistake is not None:
            self._mistakes.append(mistake)
