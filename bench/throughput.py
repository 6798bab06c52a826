"""The whole way: from the engine's stream to exits that are committed and shown, in exits per second."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.engine import TapeEngine
from bench.exporter import COMMITS, BenchError, Exporter, sum_of
from bench.tape import Tape
from bench.verify import verify

GIVE_UP_SECONDS = 120.0
FIRST_LOOK_SECONDS = 0.25
CLOSE_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Way:
    """In which circumstances: ``answered`` inspects, and a ``local`` engine, whose kernel is a witness."""

    name: str
    answered: bool
    local: bool


WAYS = (
    Way("inspects answered, local engine", answered=True, local=True),
    Way("inspects 404, local engine", answered=False, local=True),
    Way("inspects answered, remote engine", answered=True, local=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the whole way cost."""

    exits_per_second: float
    cpu_ms_per_exit: float
    exits_per_commit: float


def throughput(tape: Tape, way: Way, directory: Path) -> Run:
    """One run over a fresh database. Raises BenchError where a single exit is wrong."""
    with (
        TapeEngine(tape, directory, answered=way.answered, local=way.local) as engine,
        Exporter(engine.url, directory) as exporter,
    ):
        seconds, cpu_seconds = replay(tape, engine, exporter)
        commits = sum_of(exporter.scrape().body, COMMITS)
        verify(exporter, tape, answered=way.answered)
    return Run(tape.exits / seconds, 1000 * cpu_seconds / tape.exits, tape.exits / commits)


def replay(tape: Tape, engine: TapeEngine, exporter: Exporter) -> tuple[float, float]:
    """Let all of the tape happen; the seconds until all exits were shown, and the exporter's CPU seconds."""
    engine.load(tape.event_count)
    cpu_before = exporter.cpu_seconds
    released = engine.release()
    seconds = _await_exits(exporter.exits, tape.exits, released)
    return seconds, exporter.cpu_seconds - cpu_before


def _await_exits(exits: Callable[[], int], wanted: int, begun: float) -> float:
    """How long it took; looks seldom while far from the end, since each look costs the exporter."""
    pause = FIRST_LOOK_SECONDS
    while True:
        time.sleep(pause)
        asked = time.monotonic() - begun
        seen = exits()
        if seen == wanted:
            return asked
        if seen > wanted or asked > GIVE_UP_SECONDS:
            raise BenchError(f"{seen} exits shown of {wanted} after {asked:.1f} s")
        left = asked * (wanted - seen) / seen if seen else FIRST_LOOK_SECONDS
        pause = min(max(left / 2, CLOSE_LOOK_SECONDS), 1.0)
