"""Logs of containers, with the frames of the API and without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.docker.api.log_frames import log_tail


def frames(*pieces: tuple[int, bytes]) -> bytes:
    """Return a log as an engine sends it for a container without a terminal."""
    return b"".join(bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for stream, text in pieces)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (frames((1, b"out\n"), (2, b"err\n")), "out\nerr\n"),
        (frames((1, b""), (0, b"in")), "in"),
        (frames((1, "gr\u00f6".encode()[:-1]), (1, "\u00f6\n".encode()[1:])), "gr\u00f6\n"),
        (b"from a terminal\r\n", "from a terminal\r\n"),
        (b"\x01\0\0\0", "\x01\0\0\0"),
        (frames((1, b"cut"))[:-1], "\x01\0\0\0\0\0\0\x03cu"),
        (frames((1, b"a")) + b"no frame", (frames((1, b"a")) + b"no frame").decode()),
        (b"\xff", "\ufffd"),
    ],
)
def test_a_log_is_parsed_with_and_without_frames(body: bytes, text: str) -> None:
    assert log_tail(body, 100).text == text


@given(st.binary())
def test_no_log_body_raises(body: bytes) -> None:
    assert isinstance(log_tail(body, 1).text, str)


@given(st.lists(st.tuples(st.integers(0, 2), st.text().map(str.encode))))
def test_the_text_of_frames_is_joined(pieces: list[tuple[int, bytes]]) -> None:
    assert log_tail(frames(*pieces), 1).text == b"".join(text for _, text in pieces).decode()


@pytest.mark.parametrize(
    ("body", "max_pieces", "is_whole"),
    [
        (b"", 1, True),
        (frames((1, b"a\n")), 2, True),
        (frames((1, b"a\n")), 1, False),
        (frames((1, b"a"), (1, b"b\n")), 2, False),
        (b"a\r\nb\r\n", 3, True),
        (b"a\r\nb\r\n", 2, False),
        (b"x" * (40 << 10) + b"\r\n", 3, False),
    ],
)
def test_a_log_with_fewer_pieces_than_requested_is_whole(
    body: bytes, max_pieces: int, *, is_whole: bool
) -> None:
    assert log_tail(body, max_pieces).is_whole is is_whole
