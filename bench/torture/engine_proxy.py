"""An engine behind a proxy whose answers are those of an engine with another time of day.

The engine itself cannot be given one: Go reads the clock without a function that could be replaced.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import docker
from requests import Response
from requests.exceptions import RequestException

from bench.torture.engine_clock import EngineClock
from tests.scripted.times import format_seconds, parse_seconds

_CONNECT_SECONDS = 5
_REQUESTS = 64
_SINCE_EVER = 1


@contextmanager
def proxied(engine_url: str, clock: EngineClock) -> Iterator[str]:
    """Run it in front of an engine; give its URL."""
    with tempfile.TemporaryDirectory(prefix="proxied-") as directory:
        path = Path(directory, "engine.sock")
        with _Proxy(path, engine_url, clock) as proxy:
            threading.Thread(target=proxy.serve_forever, name="proxy", daemon=True).start()
            yield f"unix://{path}"
            proxy.shutdown()


class _Proxy(ThreadingUnixStreamServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = _REQUESTS

    def __init__(self, path: Path, engine_url: str, clock: EngineClock) -> None:
        super().__init__(str(path), _Handler)
        self._engine = docker.APIClient(engine_url, version="1.41", max_pool_size=_REQUESTS)
        self.clock = clock

    def ask(self, target: str) -> Response:
        """Send a GET to the engine, and return once the headers of the answer are there."""
        url = self._engine.base_url + target
        return self._engine.get(url, stream=True, timeout=(_CONNECT_SECONDS, None))

    def events(self, path: str, query: dict[str, str]) -> Response:
        """Ask for events, with the times by which the engine knows them."""
        if "since" in query:
            every = {"since": _SINCE_EVER, "until": format_seconds(self.clock.until(0))}
            lines = self.ask(f"{path}?{urlencode(every)}").content.splitlines()
            query["since"] = format_seconds(self.clock.since(parse_seconds(query["since"]), lines))
        if "until" in query:
            query["until"] = format_seconds(self.clock.until(parse_seconds(query["until"])))
        answer = self.ask(f"{path}?{urlencode(query)}")
        answer.raise_for_status()
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def do_GET(self) -> None:
        """Answer as the engine does; what it does not answer wholly ends the connection."""
        try:
            self._answer()
        except (RequestException, OSError):
            self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        _, _, path, text, _ = urlsplit(self.path)
        query = dict(parse_qsl(text))
        if not path.endswith("/events"):
            with self.server.ask(self.path) as answer:
                self._send(answer.status_code, self.server.clock.rewrite(answer.content))
            return
        until = parse_seconds(query["until"]) if "until" in query else None
        with self.server.events(path, query) as answer:
            lines = answer.iter_lines(chunk_size=None)
            if until is None:
                self._stream(lines)
            else:
                self._send(answer.status_code, b"".join(self.server.clock.before(until, lines)))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, lines: Iterable[bytes]) -> None:
        """Send events as they come, until either side closes its connection."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            event = self.server.clock.rewrite(line) + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.close_connection = True
