"""HTTP answers of engines and proxies as they arrive: whole, broken, and without a bound."""

import re

import pytest
from httptools import HttpParserError

from exporter.sources.docker.api import answer
from exporter.sources.docker.api.answer import Answer, TooLargeError
from exporter.sources.docker.engine import EngineError

OK = b"HTTP/1.1 200 OK\r\n"
THREE = OK + b"Content-Length: 3\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
END = b""
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"


def received(*parts: bytes, max_bytes: int = 10) -> Answer:
    """Return an answer after these parts."""
    made = Answer(max_bytes)
    for part in parts:
        made.feed(part)
    return made


@pytest.mark.parametrize(
    ("parts", "status", "body", "keeps_alive"),
    [
        ([THREE + b"abc"], 200, b"abc", True),
        ([THREE[:9], THREE[9:], b"a", b"bc"], 200, b"abc", True),
        ([CHUNKED, b"2\r\nab\r\n1", b"\r\nc\r\n0\r\n\r\n"], 200, b"abc", True),
        ([b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], 404, b"", True),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b"", True),
        ([OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"], 200, b"abc", False),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"], 200, b"abc", False),
        ([OK + b"\r\nab", b"c", END], 200, b"abc", False),
        ([OK + b"Content-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"], 200, b"abc", True),
        # What nobody asked for: nothing of it is taken for this answer, or for the next.
        ([THREE + b"abcHTTP/1.1 500 x\r\nContent-Length: 1\r\n\r\nx"], 200, b"abc", False),
        ([THREE + b"abc and more"], 200, b"abc", False),
        ([b"HTTP/1.1 101 x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\nabc"], 101, b"", False),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + THREE + b"abc"], 200, b"abc", True),
        ([HINTS[:70], HINTS[70:], PROCESSING + THREE[:9], THREE[9:] + b"abc"], 200, b"abc", True),
        ([HINTS + OK + b"\r\nab", b"c", END], 200, b"abc", False),
    ],
)
def test_an_answer_is_complete_with_its_body(
    parts: list[bytes], status: int, body: bytes, *, keeps_alive: bool
) -> None:
    answered = received(*parts)
    assert (answered.status, answered.is_complete, answered.take(), answered.keeps_alive) == (
        status,
        True,
        body,
        keeps_alive,
    )


def test_parts_of_a_body_are_taken_as_they_come() -> None:
    answered = received(CHUNKED, b"2\r\nab\r\n")
    assert (answered.take(), answered.take(), answered.is_complete) == (b"ab", b"", False)
    answered.feed(b"1\r\nc\r\n")
    assert (answered.take(), answered.is_complete) == (b"c", False)


@pytest.mark.parametrize(
    ("parts", "error", "cause"),
    [
        ([END], EOFError, "in the middle"),
        ([PROCESSING, END], EOFError, "in the middle"),
        ([PROCESSING] * answer.MAX_HEAD_BYTES, EngineError, "headers of more than 65536 bytes"),
        ([THREE, b"ab", END], EOFError, "in the middle"),
        ([CHUNKED, b"2\r\nab\r\n", END], EOFError, "in the middle"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], HttpParserError, "HTTP"),
        ([CHUNKED, b"zz\r\n"], HttpParserError, "chunk size"),
        ([OK + b"Content-Length: 11\r\n\r\n" + b"x" * 11], TooLargeError, "more than 10 bytes"),
        ([CHUNKED, b"6\r\nabcdef\r\n", b"6\r\nabcdef\r\n"], TooLargeError, "more than 10 bytes"),
        ([OK, b"X: " + b"x" * answer.MAX_HEAD_BYTES], EngineError, "headers of more than 65536 bytes"),
        ([OK + b"Content-Encoding: gzip\r\n\r\n"], EngineError, "compressed answer ('gzip')"),
        ([OK + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx and more"], EngineError, "compressed"),
    ],
)
def test_an_answer_that_is_not_whole_or_has_no_bound_is_an_error(
    parts: list[bytes], error: type[Exception], cause: str
) -> None:
    with pytest.raises(error, match=re.escape(cause)):
        received(*parts)


def test_an_answer_has_a_time_limit_until_it_is_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "ANSWER_SECONDS", -1.0)
    with pytest.raises(EngineError, match="has not ended within"):
        received(CHUNKED)
    endless = Answer()
    endless.lift_deadline()
    endless.feed(CHUNKED)
    assert endless.status == 200
