"""Log of a container as ``/containers/{id}/logs`` sends it."""

from __future__ import annotations

from exporter.sources.docker.engine import RawLogTail

_HEADER_BYTES, _LENGTH_BYTES = 8, 4
_STREAM_PREFIXES = (b"\x00\0\0\0", b"\x01\0\0\0", b"\x02\0\0\0")
# An engine splits longer lines into pieces of this size.
_PIECE_BYTES = 16 << 10


def log_tail(body: bytes, max_pieces: int) -> RawLogTail:
    """Return the text of a log that was requested with at most ``max_pieces`` pieces."""
    frames = _frames(body)
    # The log of a terminal has no frames. This is an upper bound of its pieces.
    pieces = body.count(b"\n") + len(body) // _PIECE_BYTES if frames is None else len(frames)
    text = body if frames is None else b"".join(frames)
    return RawLogTail(text.decode(errors="replace"), is_whole=pieces < max_pieces)


def _frames(body: bytes) -> list[bytes] | None:
    """Return the pieces without their headers (stream number, three zeros, length); None without frames."""
    pieces, position = [], 0
    while position < len(body):
        prefix, length = body[position : position + 4], body[position + 4 : position + _HEADER_BYTES]
        end = position + _HEADER_BYTES + int.from_bytes(length, "big")
        if prefix not in _STREAM_PREFIXES or len(length) < _LENGTH_BYTES or end > len(body):
            return None
        pieces.append(body[position + _HEADER_BYTES : end])
        position = end
    return pieces
