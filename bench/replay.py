"""Letting a tape happen before an exporter: all at once, or in portions for which it has time."""

import time
from dataclasses import dataclass

from bench.engine import TapeEngine
from bench.exporter import BenchError, Exporter
from bench.tape import Tape

GIVE_UP_SECONDS = 120.0
FIRST_LOOK_SECONDS = 0.25
CLOSE_LOOK_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
PORTION = 1500


@dataclass(frozen=True, slots=True)
class Cost:
    """What a replay took of the clock, and of the processor in all of the exporter's threads."""

    seconds: float
    cpu_seconds: float


def flood(tape: Tape, engine: TapeEngine, exporter: Exporter) -> Cost:
    """All at once, as fast as it is read; from its first event until all exits are shown."""
    engine.load(tape.event_count)
    cpu_before = exporter.cpu_seconds
    released = engine.release()
    seconds = _await_exits(exporter, tape.exits, released)
    return Cost(seconds, exporter.cpu_seconds - cpu_before)


def trickle(tape: Tape, engine: TapeEngine, exporter: Exporter) -> None:
    """In portions, the next one when the exits of the one before are shown: no backlog piles up."""
    for emitted in range(0, tape.event_count, PORTION):
        engine.emit(PORTION)
        _await_exits(exporter, tape.exits_within(emitted + PORTION), time.monotonic())


def _await_exits(exporter: Exporter, wanted: int, begun: float) -> float:
    """How long it took; looks seldom while far from the end, since each look costs the exporter."""
    first = seen = exporter.exits()
    while seen != wanted:
        asked = time.monotonic() - begun
        if seen > wanted or asked > GIVE_UP_SECONDS:
            raise BenchError(f"{seen} exits shown of {wanted} after {asked:.1f} s")
        left = asked * (wanted - seen) / (seen - first) if seen > first else FIRST_LOOK_SECONDS
        time.sleep(min(max(left / 2, CLOSE_LOOK_SECONDS), LONGEST_PAUSE_SECONDS))
        seen = exporter.exits()
    return time.monotonic() - begun
