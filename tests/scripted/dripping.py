"""A server whose answer does not end: a head, and then drops."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def dripping(
    head: bytes, drops: Iterator[bytes], seconds: float = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Serve one connection: ``head``, then drops until the client leaves; give the URL."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(head)
            while not over.wait(seconds):
                connection.sendall(next(drops))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http{'' if tls is None else 's'}://127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()
