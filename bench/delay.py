"""Delay from a ``die`` event to the first scrape that shows it, for exits that wait for nothing."""

import random
import time
from pathlib import Path

from bench.engine import EngineProcess
from bench.exporter import EXITS, BenchError, Exporter, sum_of
from bench.recording import SEED, Container, EngineRecording
from bench.verify import verify

LEAST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.05
GIVE_UP_SECONDS = 10.0


def delays(recording: EngineRecording, directory: Path) -> list[float]:
    """Return the delay in seconds of each container of a recording in which they come one after another."""
    pause = random.Random(SEED).uniform  # noqa: S311  # not a secret
    with (
        EngineProcess(recording, directory, answered=True, local=True) as engine,
        Exporter(engine.url, directory) as exporter,
    ):
        found = []
        for shown, container in enumerate(recording.containers):
            before, after = _around_die(container)
            engine.emit(before)
            # Jobs last longer than an inspect takes. The jitter avoids resonance with a timer.
            time.sleep(pause(LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            found.append(_await_scrape(exporter, shown + 1, engine.emit(1)))
            engine.emit(after)
        verify(exporter, recording, answered=True)
    return found


def _around_die(container: Container) -> tuple[int, int]:
    """Return the number of events before its ``die``, and after it."""
    actions = [event["Action"] for event in container.job.events]
    die = actions.index("die")
    return die, len(actions) - die - 1


def _await_scrape(exporter: Exporter, wanted: int, begun: float) -> float:
    """Scrape without a pause until it is shown, and return how long that took."""
    while sum_of(exporter.scrape().body.decode(), EXITS) < wanted:
        if time.monotonic() - begun > GIVE_UP_SECONDS:
            raise BenchError(f"exit number {wanted} is not shown after {GIVE_UP_SECONDS} s")
    return time.monotonic() - begun
