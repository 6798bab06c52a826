"""One HTTP answer of an engine, parsed within bounds, so that none can fill the memory or go on for ever."""

from __future__ import annotations

import time
from http import HTTPStatus

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exporter.sources.docker.engine import EngineError

# A list of some 20,000 containers.
MAX_ANSWER_BYTES = 32 << 20
MAX_HEAD_BYTES = 1 << 16
# How long an answer may take, however steadily it comes.
ANSWER_SECONDS = 60.0
_HAVE_LENGTH = frozenset({b"content-length", b"transfer-encoding"})


class TooLargeError(EngineError):
    """An answer is longer than it may be."""


class Answer:
    """An answer while it is received. ``status`` is 0 until its headers are there.

    Interim ones before it (100, 102, 103) are skipped; they count as a part of its headers.
    """

    def __init__(self, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self.status = 0
        self.has_begun = False
        self.is_complete = False
        # Whether the connection can carry another request once this answer is complete.
        self.keeps_alive = False
        self._max_bytes = max_bytes
        self._deadline = time.monotonic() + ANSWER_SECONDS
        # What came since the last part of the body: headers, trailers, lines between chunks.
        self._other_bytes = 0
        self._is_interim = False
        self._has_length = False
        self._encoding = "identity"
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take in what was received; nothing means that the other side has closed the connection.

        Raises EngineError beyond a bound, EOFError if the answer is not whole, and the errors of httptools.
        """
        if data:
            self.has_begun = True
            self._other_bytes += len(data)
            self._parse(data)
            self._check()
        elif not self.status or self._has_length:
            raise EOFError("the answer ended in the middle")
        else:
            self.is_complete = True

    def take(self) -> bytes:
        """Return what has come of the body since the last call."""
        body = b"".join(self._body)
        self._body.clear()
        self._body_bytes = 0
        return body

    def lift_deadline(self) -> None:
        """Let the answer go on for ever."""
        self._deadline = float("inf")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self.is_complete:
                raise
            # What came after the answer nobody asked for.
            self.keeps_alive = False

    def _check(self) -> None:
        if self.status and self._encoding != "identity":
            # A small answer could become a large one when it is decompressed.
            raise EngineError(f"a compressed answer ({self._encoding[:20]!r}), which was not asked for")
        if self._body_bytes > self._max_bytes:
            raise TooLargeError(f"an answer of more than {self._max_bytes} bytes; is this a Docker Engine?")
        if not self.is_complete and self._other_bytes > MAX_HEAD_BYTES:
            raise EngineError(f"headers of more than {MAX_HEAD_BYTES} bytes; is this a Docker Engine?")
        if not self.is_complete and time.monotonic() > self._deadline:
            raise EngineError(f"an answer that has not ended within {ANSWER_SECONDS:g} s")

    # Called by the parser; after the end of the answer, for what nobody asked for.

    def on_message_begin(self) -> None:
        """Take what follows a complete answer for the end of an orderly connection."""
        self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what says how the body is to be read."""
        match name.lower():
            case b"content-encoding":
                self._encoding = value.decode("latin-1").lower()
            case lower if lower in _HAVE_LENGTH:
                self._has_length = True

    def on_headers_complete(self) -> None:
        """Keep the status, unless it is that of an interim answer."""
        status = self._parser.get_status_code()
        self._is_interim = status < HTTPStatus.OK and status != HTTPStatus.SWITCHING_PROTOCOLS
        if not self.is_complete and not self._is_interim:
            self.status = status
            self._other_bytes = 0

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body."""
        if not self.is_complete:
            self._other_bytes = 0
            self._body.append(part)
            self._body_bytes += len(part)

    def on_message_complete(self) -> None:
        """Note the end, unless it is that of an interim answer."""
        if self._is_interim:
            self._encoding, self._has_length = "identity", False
            return
        self.keeps_alive = not self.is_complete and self._parser.should_keep_alive()
        self.is_complete = True
