"""dstack's server with scripted runs: pages, single runs, tokens, and answers of any kind."""

import json
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event
from typing import Any, Self, cast

from tests.scripted.connections import EndsConnections

TOKEN = "a-secret-token"  # noqa: S105  # of this server only
DRIP_SECONDS = 0.05
LOOPBACK = "127.0.0.1"
RECORDING = Path(__file__).parents[1] / "recordings" / "dstack-server.jsonl"

Run = dict[str, Any]
Answer = Callable[["Handler"], None]


def recorded_run(name: str) -> Run:
    """Return the run that the real server answered for a case of the recordings."""
    lines = map(json.loads, RECORDING.read_text().splitlines())
    run: Run = next(line["server"] for line in lines if line["case"] == name)
    return run


class DstackApi(EndsConnections, HTTPServer):
    """Answers as dstack 0.22.5 does, from `runs`; `answers` come first, one for each request.

    `always` are answers by the id of the run that is asked for, or by the path.
    """

    def __init__(self, *runs: Run) -> None:
        """Bind a free port."""
        self.runs = list(runs)
        self.answers: list[Answer] = []
        self.always: dict[str, Answer] = {}
        self.requests: list[tuple[str, Run, str]] = []
        self.page = 100
        self.events: list[Run] | None = None
        self.released = Event()
        super().__init__((LOOPBACK, 0), Handler)

    def __enter__(self) -> Self:
        """Listen."""
        self.serve()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let go of the requests that hang."""
        self.released.set()
        self.stop()

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"http://{LOOPBACK}:{self.server_address[1]}"

    def listed(self, query: Run) -> list[Run]:
        """Return a page of runs, the newest first."""
        runs = sorted(self.runs, key=lambda run: str(run["submitted_at"]), reverse=True)
        if query.get("only_active"):
            runs = [run for run in runs if run["status"] not in {"done", "failed", "terminated"}]
        if "project_name" in query:
            runs = [run for run in runs if run["project_name"] == query["project_name"]]
        if "prev_submitted_at" in query:
            runs = [run for run in runs if str(run["submitted_at"]) < query["prev_submitted_at"]]
        return runs[: min(query["limit"], self.page)]


class Handler(BaseHTTPRequestHandler):
    """Answers requests on one connection."""

    protocol_version = "HTTP/1.1"

    @property
    def api(self) -> DstackApi:
        """The server."""
        return cast("DstackApi", self.server)

    def handle(self) -> None:
        """Answer until the client has left, which may be in the middle of an answer."""
        with suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        """Record a request and answer it."""
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.api.requests.append((self.path, query, self.headers.get("Authorization", "")))
        if self.api.answers:
            self.api.answers.pop(0)(self)
        elif always := self.api.always.get(query.get("id", self.path)):
            always(self)
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.give({"detail": [{"msg": "Invalid token", "code": "invalid_token"}]}, HTTPStatus.FORBIDDEN)
        elif self.path == "/api/runs/list":
            self.give(self.api.listed(query))
        elif self.path.endswith("/runs/get"):
            found = [run for run in self.api.runs if run["id"] == query["id"]]
            missing = {"detail": [{"code": "resource_not_exists", "msg": "Run not found"}]}
            self.give(found[0] if found else missing, HTTPStatus.OK if found else HTTPStatus.BAD_REQUEST)
        elif self.path == "/api/events/list" and self.api.events is not None:
            self.give(self.api.events)
        else:
            self.give({"detail": "Not Found"}, HTTPStatus.NOT_FOUND)

    def give(self, answer: object, status: int = HTTPStatus.OK, **headers: str) -> None:
        """Send an answer in JSON."""
        self.give_bytes(json.dumps(answer).encode(), status, None, **headers)

    def give_bytes(
        self, body: bytes, status: int = HTTPStatus.OK, content_length: int | None = None, **headers: str
    ) -> None:
        """Send an answer as it is, with a length that may be wrong."""
        self.send_response(status)
        length = len(body) if content_length is None else content_length
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def hang(self) -> None:
        """Send nothing until the server stops."""
        self.api.released.wait()
        self.close_connection = True

    def drip(self) -> None:
        """Send a byte now and then, until the client has left or the server stops."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while not self.api.released.wait(DRIP_SECONDS):
                self.wfile.write(b" ")

    def drip_headers(self) -> None:
        """Send a byte of a header now and then, until the client has left or the server stops."""
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not self.api.released.wait(DRIP_SECONDS):
                self.wfile.write(b"x")

    def pour(self) -> None:
        """Send more and more, until the client has left."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            while True:
                self.wfile.write(b" " * (1 << 16))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Log nothing: tests look at the requests."""
