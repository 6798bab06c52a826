"""HTTP/1.1 as the scripted engine speaks it: requests without a use for their body, answers, and chunks."""

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
    """What a client asked."""

    method: str
    target: str
    keeps_alive: bool = True

    @cached_property
    def path(self) -> str:
        """The path without the API's version and without the query."""
        return VERSION_PREFIX.sub("", urlsplit(self.target).path, count=1)

    @cached_property
    def version(self) -> tuple[int, int] | None:
        """The API's version that the path begins with, if it does."""
        match = VERSION_PREFIX.match(urlsplit(self.target).path)
        return None if match is None else (int(match[1]), int(match[2]))

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters behind the path; of one that is given twice, the first."""
        return dict(reversed(parse_qsl(urlsplit(self.target).query)))


@dataclass(frozen=True)
class Answer:
    """A whole answer: its status, and a body that is known in full."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Answer with a JSON value, ended by a line feed as an engine does."""
    return Answer(status, encoded(value) + b"\n")


def refusal(status: int, message: str) -> Answer:
    """Answer with an error in the engine's form."""
    return json_answer({"message": message}, status)


def encoded(value: Any) -> bytes:
    """Write JSON in ASCII, so that even a lone surrogate gets through as its escape."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def read_request(reader: BinaryIO) -> Request | None:
    """Read one request and pass over its body; None where the client has closed, or does not speak HTTP."""
    words = reader.readline().decode("latin-1").split()
    headers = read_headers(reader)
    if len(words) != len(("method", "target", "protocol")):
        return None
    reader.read(int(headers.get("content-length", "0")))
    ends = headers.get("connection", "").lower() == "close" or "transfer-encoding" in headers
    return Request(words[0], words[1], keeps_alive=not ends)


def read_headers(reader: BinaryIO) -> dict[str, str]:
    """Read the header lines up to the empty one, names in lower case."""
    headers: dict[str, str] = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Give the lines that an answer begins with."""
    lines = [f"HTTP/1.1 {status} {phrase(status)}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def phrase(status: int) -> str:
    """Give the words that belong to a status, or none for one that has none."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def chunk(data: bytes) -> bytes:
    """Wrap data as one chunk of a body whose length is not known beforehand."""
    return b"%x\r\n%b\r\n" % (len(data), data)
