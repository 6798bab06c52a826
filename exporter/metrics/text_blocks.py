"""Text of many series in their order, in blocks: a change costs its block, not all of the text."""

from __future__ import annotations

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

# Fewer compress less well; more cost more when one of them changes.
MAX_SERIES = 128
# A scrape is mostly repetition: the fastest level removes most of it.
_LEVEL = 1
_RAW = -zlib.MAX_WBITS

Labels = tuple[str, ...]


@dataclass(slots=True)
class TextBlock:
    """Lines of some series, sorted by their labels; ``deflated`` is their part of a deflated stream."""

    lines: list[bytes]
    labels: list[Labels] = field(default_factory=list)
    deflated: bytes = b""

    @property
    def text(self) -> bytes:
        """The lines as one text; not kept, since it would take as much memory as they do."""
        return b"".join(self.lines)

    def deflate(self) -> bool:
        """Make ``deflated``, whole bytes that others may follow; return False if it was made before."""
        if self.deflated:
            return False
        deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        self.deflated = deflate.compress(self.text) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return True

    def put(self, labels: Labels, lines: bytes | None) -> None:
        """Set the lines of a series; None: remove it."""
        at = bisect_left(self.labels, labels)
        known = self.labels[at : at + 1] == [labels]
        self.labels[at : at + known] = [] if lines is None else [labels]
        self.lines[at : at + known] = [] if lines is None else [lines]
        self.deflated = b""

    def split(self) -> TextBlock:
        """Move the second half into a new block, and return that."""
        half = len(self.lines) // 2
        other = TextBlock(self.lines[half:], self.labels[half:])
        del self.lines[half:], self.labels[half:]
        return other


class TextBlocks:
    """Lines of all series of a metric, in the order of their labels."""

    def __init__(self) -> None:
        self._blocks: list[TextBlock] = []
        # The first labels of each.
        self._firsts: list[Labels] = []

    def __iter__(self) -> Iterator[TextBlock]:
        """Yield all blocks in their order."""
        return iter(self._blocks)

    def put(self, labels: Labels, lines: bytes | None) -> None:
        """Set the lines of a series; None: remove it."""
        at = max(0, bisect_right(self._firsts, labels) - 1)
        block = self._blocks[at] if self._blocks else TextBlock([])
        block.put(labels, lines)
        halves = [block, block.split()] if len(block.lines) > MAX_SERIES else [block]
        filled = [half for half in halves if half.lines]
        self._blocks[at : at + 1] = filled
        self._firsts[at : at + 1] = [half.labels[0] for half in filled]
