"""Time limit of a call that can wait where no timeout holds: for a name, or for each drop of an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class TimeLimitError(Exception):
    """A call took longer than it may."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise its error; raises TimeLimitError if it takes longer.

    It then goes on in a thread that does not keep the process alive. Where no thread can be started, there is
    no limit.
    """
    outcomes: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()
    try:
        threading.Thread(target=lambda: outcomes.put(_outcome(call)), daemon=True).start()
    except RuntimeError:
        # At a limit of threads: an answer without a limit of its time is better than none.
        return call()
    try:
        outcome = outcomes.get(timeout=seconds)
    except Empty:
        raise TimeLimitError from None
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome[0]


def _outcome(call: Callable[[], T]) -> tuple[T] | BaseException:
    try:
        return (call(),)
    except BaseException as error:  # noqa: BLE001  # raised where the call is waited for
        return error
