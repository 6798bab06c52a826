"""Reading of an engine's answers within bounds, so that no answer can fill the memory or go on for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from urllib3 import BaseHTTPResponse

from exporter.sources.docker.engine import EngineError

# A list of some 20,000 containers.
MAX_ANSWER_BYTES = 32 << 20
# How long the body of an answer may take, however steadily it comes.
ANSWER_SECONDS = 60.0
# A small answer could become a large one when it is decompressed.
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
_CHUNK_BYTES = 1 << 16


class TooLargeError(EngineError):
    """An answer is longer than it may be."""


def check_encoding(response: BaseHTTPResponse) -> None:
    """Refuse a compressed answer, which was not asked for. Raises EngineError."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        response.close()
        raise EngineError(f"a compressed answer ({encoding[:20]!r}), which was not asked for")


def read_body(response: BaseHTTPResponse, max_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Return the whole body, and release the connection. Raises EngineError, and the errors of urllib3."""
    check_encoding(response)
    body, deadline = bytearray(), time.monotonic() + ANSWER_SECONDS
    read = _reader(response)
    while chunk := read(_CHUNK_BYTES, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise TooLargeError(f"an answer of more than {max_bytes} bytes; is this a Docker Engine?")
        if time.monotonic() > deadline:
            response.close()
            raise EngineError(f"an answer that has not ended within {ANSWER_SECONDS:g} s")
    response.release_conn()
    return bytes(body)


def _reader(response: Any) -> Callable[..., bytes]:
    """Return what reads as much as has come; of paramiko's channels, what waits until all of it has."""
    has_parts = hasattr(response._fp.fp, "read1")  # noqa: SLF001  # the error would close the connection
    reader: Callable[..., bytes] = response.read1 if has_parts else response.read
    return reader
