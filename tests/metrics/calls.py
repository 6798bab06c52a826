"""Count of calls, as a measure of work that is the same on any machine."""

import sys
from collections.abc import Iterator
from types import FrameType


def calls_of_steps(steps: Iterator[None]) -> list[int]:
    """Return how many functions, also those written in C, each step calls."""
    counts, calls = list[int](), 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    ended = object()
    while True:
        calls = 0
        sys.setprofile(count)
        try:
            step = next(steps, ended)
        finally:
            sys.setprofile(None)
        counts.append(calls)
        if step is ended:
            return counts
