"""Replay of a recording: all events at once, or in portions without a backlog."""

import time
from dataclasses import dataclass

from bench.engine import EngineProcess
from bench.exporter import BenchError, Exporter
from bench.recording import EngineRecording

GIVE_UP_SECONDS = 120.0
FIRST_POLL_SECONDS = 0.25
CLOSE_POLL_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0
PORTION = 1500


@dataclass(frozen=True, slots=True)
class Cost:
    """Duration of a replay, and processor time of all threads of the exporter, in seconds."""

    seconds: float
    cpu_seconds: float


def flood(recording: EngineRecording, engine: EngineProcess, exporter: Exporter) -> Cost:
    """Replay all events at once, and measure from the first event until all exits are shown."""
    engine.load(recording.event_count)
    cpu_before = exporter.cpu_seconds
    released = engine.release()
    seconds = await_exits(exporter, recording.exits, released)
    return Cost(seconds, exporter.cpu_seconds - cpu_before)


def trickle(recording: EngineRecording, engine: EngineProcess, exporter: Exporter) -> None:
    """Replay in portions, each after the exits of the one before are shown."""
    for emitted in range(0, recording.event_count, PORTION):
        engine.emit(PORTION)
        await_exits(exporter, recording.exits_within(emitted + PORTION), time.monotonic())


def await_exits(exporter: Exporter, wanted: int, begun: float) -> float:
    """Wait for the exits and return how long it took. Polls rarely at first: they cost the exporter time."""
    first = seen = exporter.exits()
    while seen != wanted:
        waited = time.monotonic() - begun
        if seen > wanted or waited > GIVE_UP_SECONDS:
            raise BenchError(f"{seen} exits shown of {wanted} after {waited:.1f} s")
        left = waited * (wanted - seen) / (seen - first) if seen > first else FIRST_POLL_SECONDS
        time.sleep(min(max(left / 8, CLOSE_POLL_SECONDS), LONGEST_PAUSE_SECONDS))
        seen = exporter.exits()
    return time.monotonic() - begun
