"""Waiting for a condition, with a time limit."""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 0.05


def wait_until(fact: Callable[[], bool], seconds: float) -> bool:
    """Return whether `fact` became true within `seconds`; it is checked at least once."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() >= deadline:
            return False
        time.sleep(INTERVAL_SECONDS)
    return True
