"""Waiting for a condition, with a time limit."""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 0.05


def wait_until(fact: Callable[[], bool], seconds: float, *, interval: float = INTERVAL_SECONDS) -> bool:
    """Return whether `fact` became true within `seconds`; it is checked at least once.

    `interval` is the time between two checks, in seconds.
    """
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True
