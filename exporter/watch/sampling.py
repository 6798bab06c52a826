"""Asking this machine's kernel beside a local engine: now and then, and whenever it may know more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from exporter.engines.kernel import KernelWitness
from exporter.engines.port import KernelKills

KERNEL_SECONDS = 0.25


class Sampling:
    """Asks the kernel's witness now and then, and whenever ``ask`` says so.

    Now and then, so that a kill long past is not taken for the cause of an end today.
    """

    def __init__(self, witness: KernelWitness | None, say: Callable[[KernelKills], None]) -> None:
        self._witness = witness
        self._say = say
        self._lock = threading.Lock()
        self._asked_ns = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="kernel", daemon=True)

    def __enter__(self) -> Self:
        if self._witness is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._witness is not None:
            self._thread.join()

    def ask(self, *, since_ns: int) -> None:
        """Hand on what the kernel has killed by now, unless it was asked after ``since_ns`` already.

        Only a local engine's kernel is a witness, so that both have the same clock.
        """
        if self._witness is None:
            return
        # Under the lock until it is said, or an answer could be overtaken by the event it explains.
        with self._lock:
            now_ns = time.time_ns()
            # A clock that was set back would otherwise silence the witness until it is where it was.
            if since_ns < self._asked_ns <= now_ns:
                return
            self._asked_ns = now_ns
            kills = self._witness.ask()
            if kills is not None:
                self._say(kills)

    def _sample(self) -> None:
        while not self._over.wait(KERNEL_SECONDS):
            self.ask(since_ns=time.time_ns())
