"""What goes wrong on purpose: answers that fail, and answers that are late."""

import time
from dataclasses import dataclass
from threading import Condition

from tests.scripted.wire import Answer

LOOK_UP_SECONDS = 60.0
"""A wait without an end is cut into waits of this length."""


@dataclass
class Failure:
    """An answer that is given in place of the true one, some times over; None to hang up without one."""

    path_prefix: str
    answer: Answer | None
    times: int


class Faults:
    """The failures and delays to come, safe to use from any thread; paths are without the API's version."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._failures: list[Failure] = []
        self._delays: dict[str, float] = {}
        self._lifted = False

    def fail_next(self, failure: Failure) -> None:
        """Let the next answers fail; failures for the same path follow each other."""
        with self._changed:
            self._failures.append(failure)

    def delay(self, path_prefix: str, seconds: float) -> None:
        """Let answers wait; a shorter delay frees at once those that have waited long enough for it."""
        with self._changed:
            self._delays[path_prefix] = seconds
            self._changed.notify_all()

    def lift(self, *, lifted: bool) -> None:
        """Let nothing wait any longer, or let delays hold again."""
        with self._changed:
            self._lifted = lifted
            self._changed.notify_all()

    def wait(self, path: str) -> None:
        """Block for as long as an answer for this path is delayed."""
        asked = time.monotonic()
        with self._changed:
            while (left := asked + self._delay_of(path) - time.monotonic()) > 0:
                self._changed.wait(min(left, LOOK_UP_SECONDS))

    def next_failure(self, path: str) -> Failure | None:
        """Give the failure that is due for this path, if any, and count it as given."""
        with self._changed:
            due = [fault for fault in self._failures if fault.times and path.startswith(fault.path_prefix)]
            for fault in due[:1]:
                fault.times -= 1
            return due[0] if due else None

    def _delay_of(self, path: str) -> float:
        if self._lifted:
            return 0.0
        return max((each for prefix, each in self._delays.items() if path.startswith(prefix)), default=0.0)
