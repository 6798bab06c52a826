"""The delay from a ``die`` to the first scrape that shows it, for exits that need no waiting."""

import random
import time
from pathlib import Path

from bench.engine import TapeEngine
from bench.exporter import EXITS, BenchError, Exporter, sum_of
from bench.tape import SEED, Container, Tape
from bench.verify import verify

LEAST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.05
GIVE_UP_SECONDS = 10.0


def delays(tape: Tape, directory: Path) -> list[float]:
    """Seconds, one for each container of a tape on which they come one after another."""
    pause = random.Random(SEED).uniform  # noqa: S311  # not a secret
    with (
        TapeEngine(tape, directory, answered=True, local=True) as engine,
        Exporter(engine.url, directory) as exporter,
    ):
        found = []
        for shown, container in enumerate(tape.containers):
            before, after = _around_die(container)
            engine.emit(before)
            # Jobs last longer than it takes to inspect them; jittered, lest it beat in time with a timer.
            time.sleep(pause(LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            found.append(_await_scrape(exporter, shown + 1, engine.emit(1)))
            engine.emit(after)
        verify(exporter, tape, answered=True)
    return found


def _around_die(container: Container) -> tuple[int, int]:
    """How many events come before its ``die``, and how many after."""
    actions = [event["Action"] for event in container.recording.events]
    die = actions.index("die")
    return die, len(actions) - die - 1


def _await_scrape(exporter: Exporter, wanted: int, begun: float) -> float:
    """Scrape without a pause until it is shown; how long that took."""
    while sum_of(exporter.scrape().body.decode(), EXITS) < wanted:
        if time.monotonic() - begun > GIVE_UP_SECONDS:
            raise BenchError(f"exit number {wanted} is not shown after {GIVE_UP_SECONDS} s")
    return time.monotonic() - begun
