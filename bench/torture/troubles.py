"""What goes wrong during the torture: kinds of trouble, each for some seconds, at random."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.torture.clock import SteppedClock
from bench.torture.engine_clock import EngineClock
from bench.torture.exporter import TorturedExporter
from bench.torture.log_reader import LogReader
from tests.lab.engine import PrivateEngine
from tests.store.files import fill

CLOCK_STEPS = (3_600, -3_600, -86_400 * 10, 86_400 * 365 * 40)
"""Seconds by which the exporter's clock is wrong."""

ENGINE_CLOCK_STEPS = (5, -5, 3_600, -3_600, -86_400 * 10)
"""Seconds by which the engine's clock is wrong."""

_SHORT, _LONG = (0.0, 3.0), (5.0, 40.0)
_PAUSE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Tortured:
    """All that trouble is made with."""

    engine: PrivateEngine
    engine_lock: threading.Lock
    exporter: TorturedExporter
    reader: LogReader
    clock: SteppedClock
    engine_clock: EngineClock
    disk: Path


class Troubles:
    """Makes trouble in threads of its own until it is told to end; ``done`` counts it by kind."""

    def __init__(self, tortured: Tortured, dice: random.Random) -> None:
        self._tortured = tortured
        self._dice = dice
        self._over = threading.Event()
        self._busy = {name: threading.Lock() for name in _KINDS}
        self._pool = ThreadPoolExecutor(len(_KINDS))
        self._begun: list[Future[None]] = []
        self.done: Counter[str] = Counter()
        self.log: list[tuple[float, float, str]] = []
        self._thread = threading.Thread(target=self._run, name="troubles", daemon=True)

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Make no more, wait until all is mended, and raise what has failed."""
        self._over.set()
        self._thread.join()
        for future in self._begun:
            future.result()

    def _run(self) -> None:
        while not self._over.wait(self._dice.expovariate(1 / _PAUSE_SECONDS)):
            name = self._dice.choice(tuple(_KINDS))
            seconds = self._dice.uniform(*self._dice.choice((_SHORT, _LONG)))
            self._begun.append(self._pool.submit(self._make, name, seconds))

    def _make(self, name: str, seconds: float) -> None:
        # The same trouble twice at a time is once.
        if not self._busy[name].acquire(blocking=False):
            return
        begun = time.time()
        try:
            _KINDS[name](self._tortured, seconds, self._dice)
        finally:
            self._busy[name].release()
        self.done[name] += 1
        self.log.append((begun, time.time(), name))


def _kill_exporter(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.exporter.down(killed=True):
        time.sleep(seconds)


def _end_exporter(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.exporter.down(killed=False):
        time.sleep(seconds)


def _kill_engine(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.engine_lock:
        tortured.engine.kill()
        time.sleep(seconds)
        tortured.engine.start()


def _end_engine(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.engine_lock:
        tortured.engine.end()
        time.sleep(seconds)
        tortured.engine.start()


def _lose_reader(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.reader.gone():
        time.sleep(seconds)


def _stick_reader(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    with tortured.reader.stuck():
        time.sleep(seconds)


def _fill_disk(tortured: Tortured, seconds: float, _dice: random.Random) -> None:
    filler = fill(tortured.disk)
    try:
        time.sleep(seconds)
    finally:
        with suppress(FileNotFoundError):
            filler.unlink()


def _step_clock(tortured: Tortured, seconds: float, dice: random.Random) -> None:
    _step(tortured.clock, dice.choice(CLOCK_STEPS), seconds)


def _step_engine_clock(tortured: Tortured, seconds: float, dice: random.Random) -> None:
    _step(tortured.engine_clock, dice.choice(ENGINE_CLOCK_STEPS), seconds)


def _step(clock: SteppedClock | EngineClock, by: int, seconds: float) -> None:
    clock.step(by)
    try:
        time.sleep(seconds)
    finally:
        clock.step(0)


_KINDS: Mapping[str, Callable[[Tortured, float, random.Random], None]] = {
    "exporter killed": _kill_exporter,
    "exporter ended": _end_exporter,
    "engine killed": _kill_engine,
    "engine ended": _end_engine,
    "log reader gone": _lose_reader,
    "log reader stuck": _stick_reader,
    "disk full": _fill_disk,
    "clock step": _step_clock,
    "engine's clock step": _step_engine_clock,
}
