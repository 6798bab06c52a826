"""Waiting for a condition, with a time limit."""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 0.05
LONGEST_INTERVAL_SECONDS = 0.5
PART_OF_THE_TIME = 0.05
"""A check of what takes long may come later by this: without it, checks take half of a processor."""


def wait_until(fact: Callable[[], bool], seconds: float, *, interval: float = INTERVAL_SECONDS) -> bool:
    """Return whether `fact` became true within `seconds`; it is checked at least once.

    `interval` is the shortest time between two checks, in seconds.
    """
    begun = time.monotonic()
    while not fact():
        waited = time.monotonic() - begun
        if waited >= seconds:
            return False
        time.sleep(max(interval, min(PART_OF_THE_TIME * waited, LONGEST_INTERVAL_SECONDS)))
    return True
