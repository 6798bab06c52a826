"""A log as it is written: frames, lines and times, wherever the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.docker.api.log_stream import (
    MAX_FRAME_BYTES,
    MAX_LINE_BYTES,
    FrameDecoder,
    LineBuffer,
    split_time,
)
from exporter.sources.docker.engine import EngineError
from tests.unit.test_log_frames import frames

AT = "2026-11-28T09:36:19.060554330Z"
AT_NS = 1795858579_060554330

cuts = st.lists(st.integers(1, 40), max_size=40)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return data in pieces of these sizes, and the rest."""
    cut = []
    for size in sizes:
        cut.append(data[:size])
        data = data[size:]
    return [*cut, data]


def decoded(data: bytes, sizes: list[int]) -> bytes:
    """Return what a decoder makes of data that comes in pieces."""
    decoder = FrameDecoder()
    return b"".join(decoder.feed(piece) for piece in pieces(data, sizes))


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=30))), cuts)
def test_frames_are_removed_wherever_they_are_cut(parts: list[tuple[int, bytes]], sizes: list[int]) -> None:
    assert decoded(frames(*parts), sizes) == b"".join(content for _, content in parts)


@pytest.mark.parametrize("size", range(1, 30))
def test_a_frame_that_is_not_whole_waits(size: int) -> None:
    data = frames((1, b"one\n"), (2, b"two\n"))
    assert decoded(data, [size]) == b"one\ntwo\n"
    assert FrameDecoder().feed(data[:size]) == (
        b"one\ntwo\n" if size >= 24 else b"one\n" if size >= 12 else b""
    )


@given(st.binary(min_size=8).filter(lambda data: data[0] > 3 or data[1:4] != b"\0\0\0"), cuts)
def test_a_terminals_log_passes_as_it_is(data: bytes, sizes: list[int]) -> None:
    assert decoded(data, sizes) == data


def test_an_error_of_the_engine_is_none_of_the_containers_lines() -> None:
    data = frames((1, b"one\n"), (3, b"Error grabbing logs: \x1binvalid character\n"))
    with pytest.raises(EngineError, match=r"^Error grabbing logs: \ufffdinvalid character$"):
        decoded(data, [])
    with pytest.raises(EngineError, match=r"^Error grabbing logs$"):
        decoded(frames((3, b"Error grabbing logs\n")), [1, 2, 3])


def test_a_frame_of_impossible_length_is_refused_before_it_is_read() -> None:
    decoder = FrameDecoder()
    with pytest.raises(EngineError, match=f"a frame of {MAX_FRAME_BYTES + 1} bytes"):
        decoder.feed(b"\x01\0\0\0" + (MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


@given(st.binary(max_size=200), cuts)
def test_lines_are_found_wherever_they_are_cut(data: bytes, sizes: list[int]) -> None:
    buffer = LineBuffer()
    lines = [line for piece in pieces(data, sizes) for line in buffer.feed(piece)]
    assert lines == data.split(b"\n")[:-1]
    assert buffer.size == len(data.split(b"\n")[-1])


def test_of_a_long_line_only_the_beginning_is_kept() -> None:
    buffer, piece = LineBuffer(), b"x" * (1 << 16)
    for _ in range(16):
        assert buffer.feed(piece) == []
        assert buffer.size == MAX_LINE_BYTES
    assert buffer.feed(b"\nnext\n") == [b"x" * MAX_LINE_BYTES, b"next"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{AT} level=info msg=a b ", (AT_NS, "level=info msg=a b ")),
        (f"{AT} ", (AT_NS, "")),
        (AT, (AT_NS, "")),
        ("", (7, "")),
        ("level=info msg=a b", (7, "level=info msg=a b")),
        ("0001-01-01T00:00:00Z text", (7, "text")),
        ("9999-99-99T00:00:00Z text", (7, "9999-99-99T00:00:00Z text")),
    ],
)
def test_a_line_without_a_time_has_that_of_the_line_before(line: str, expected: tuple[int, str]) -> None:
    assert split_time(line, 7) == expected


@given(st.text() | st.datetimes().map(str) | st.datetimes().map(lambda at: f"{at.isoformat()}+23:59 x"))
def test_no_line_raises(line: str) -> None:
    at_ns, text = split_time(line, 7)
    assert at_ns > 0
    assert text in line
