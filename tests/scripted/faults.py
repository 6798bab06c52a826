"""Faults that tests order: answers that fail, and answers that are late."""

import time
from dataclasses import dataclass
from threading import Condition

from tests.scripted.wire import Answer

LOOK_UP_SECONDS = 60.0
"""An infinite wait is made of waits of this length, in seconds."""


@dataclass
class Failure:
    """Answer instead of the true one, `times` times; None closes the connection without an answer.

    A request whose connection had carried others is sent once more over a new one: that, too, gets none.
    """

    path_prefix: str
    answer: Answer | None
    times: int


class Faults:
    """Failures and delays by path without version. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._failures: list[Failure] = []
        self._delays: dict[str, float] = {}
        self._lifted = False

    def fail_next(self, failure: Failure) -> None:
        """Add a failure; failures of one path follow each other."""
        with self._changed:
            self._failures.append(failure)

    def delay(self, path_prefix: str, seconds: float) -> None:
        """Set a delay; a shorter one also applies to answers that are waiting."""
        with self._changed:
            self._delays[path_prefix] = seconds
            self._changed.notify_all()

    def lift(self, *, lifted: bool) -> None:
        """Disable or enable all delays."""
        with self._changed:
            self._lifted = lifted
            self._changed.notify_all()

    def wait(self, path: str) -> None:
        """Return once an answer for this path is no longer delayed."""
        asked = time.monotonic()
        with self._changed:
            while (left := asked + self._delay_of(path) - time.monotonic()) > 0:
                self._changed.wait(min(left, LOOK_UP_SECONDS))

    def next_failure(self, path: str, *, is_reused: bool) -> Failure | None:
        """Return the next failure for this path, if any, and count it, unless the request comes again."""
        with self._changed:
            due = [fault for fault in self._failures if fault.times and path.startswith(fault.path_prefix)]
            for fault in due[:1]:
                fault.times -= not (is_reused and fault.answer is None)
            return due[0] if due else None

    def _delay_of(self, path: str) -> float:
        if self._lifted:
            return 0.0
        return max((each for prefix, each in self._delays.items() if path.startswith(prefix)), default=0.0)
