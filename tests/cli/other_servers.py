"""Servers of other programs, which a mistyped port can reach."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Other:
    """Response of such a server to every request."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    media_type: str = "application/json"
    never: bool = False


NOBODY = "http://127.0.0.1:1"
"""A port on which nothing listens."""

OTHERS = {
    "a page": Other(b"<html>Welcome to nginx!</html>", media_type="text/html"),
    "a page that is not there": Other(b"404 page not found\n", HTTPStatus.NOT_FOUND, "text/plain"),
    "nothing at all": Other(b""),
    "another API": Other(b'{"status": "success", "data": {}}'),
    "another API's list": Other(b'[{"id": 1}]'),
    "another API's word": Other(b'"hello"'),
    "another API's null": Other(b"null"),
    "another API's refusal": Other(b'{"detail": "Not Found"}', HTTPStatus.NOT_FOUND),
    "another API's refusal in a list": Other(b'["no"]', HTTPStatus.FORBIDDEN),
    "another API's refusal in a list of reasons": Other(b'{"detail": [{"msg": "no"}]}', HTTPStatus.FORBIDDEN),
    "nesting deeper than Python goes": Other(b'{"jobs": ' + b"[" * 200_000),
    "a way in": Other(b"<html>Log in</html>", HTTPStatus.UNAUTHORIZED, "text/html"),
    "a breakdown": Other(b"<html>Bad Gateway</html>", HTTPStatus.BAD_GATEWAY, "text/html"),
}


@contextmanager
def other_server(other: Other) -> Iterator[str]:
    """Serve this response to all requests; give the URL."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if other.never:
                over.wait()
                # Nobody is there any more.
                return
            self.send_response(other.status)
            self.send_header("Content-Type", other.media_type)
            self.send_header("Content-Length", str(len(other.body)))
            self.end_headers()
            self.wfile.write(other.body)

        def log_message(self, *_words: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            thread.join()
