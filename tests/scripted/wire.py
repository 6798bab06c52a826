"""HTTP/1.1 of the scripted engine: requests, answers and chunks."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cached_property
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

JSON = "application/json"
JSON_LINES = "application/jsonl"
CLOSING_CHUNK = b"0\r\n\r\n"
VERSION_PREFIX = re.compile(r"/v(\d+)\.(\d+)(?=/)")


@dataclass(frozen=True)
class Request:
    """Request of a client; `size` is its length in bytes."""

    method: str
    target: str
    keeps_alive: bool = True
    size: int = 0

    @cached_property
    def path(self) -> str:
        """Path without version and query."""
        return VERSION_PREFIX.sub("", urlsplit(self.target).path, count=1)

    @cached_property
    def version(self) -> tuple[int, int] | None:
        """Version at the beginning of the path, if any."""
        match = VERSION_PREFIX.match(urlsplit(self.target).path)
        return None if match is None else (int(match[1]), int(match[2]))

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters; the first of those with equal names."""
        return dict(reversed(parse_qsl(urlsplit(self.target).query)))


@dataclass(frozen=True)
class Answer:
    """Answer with a status and a complete body."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Return an answer with a JSON value, and a line feed as from an engine."""
    return Answer(status, encoded(value) + b"\n")


def refusal(status: int, message: str) -> Answer:
    """Return an error answer in the engine's format."""
    return json_answer({"message": message}, status)


def encoded(value: Any) -> bytes:
    """Return JSON in ASCII, so that even a lone surrogate can be sent."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def read_request(reader: BinaryIO) -> Request | None:
    """Return the next request, without its body; None if the client has closed, or does not send HTTP."""
    line = reader.readline()
    parts = line.decode("latin-1").split()
    headers = read_headers(reader)
    if len(parts) != len(("method", "target", "protocol")):
        return None
    body = reader.read(int(headers.get("content-length", "0")))
    size = sum(len(f"{name}: {value}\r\n") for name, value in headers.items()) + len(line + b"\r\n" + body)
    ends = headers.get("connection", "").lower() == "close" or "transfer-encoding" in headers
    return Request(parts[0], parts[1], keeps_alive=not ends, size=size)


def read_headers(reader: BinaryIO) -> dict[str, str]:
    """Return the headers, names in lower case."""
    headers: dict[str, str] = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the status line and headers of an answer."""
    lines = [f"HTTP/1.1 {status} {phrase(status)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def phrase(status: int) -> str:
    """Return the phrase of a status, empty if it has none."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def chunk(data: bytes) -> bytes:
    """Return data as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)
