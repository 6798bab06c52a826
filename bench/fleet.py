"""Many engines at once beside one exporter, compared with one engine that has as many exits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.engine import EngineProcess
from bench.exporter import BenchError, Exporter
from bench.recording import EngineRecording, make_recording
from bench.replay import await_exits
from bench.scenario import MIXED
from bench.table import Row
from tests.lab.wait import wait_until

WORKLOADS = 20
CONNECTED = "exit_exporter_engine_up"
CONNECT_SECONDS = 120.0
IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Watched:
    """What some engines cost: threads and memory in MB while nothing happens, and processor time.

    ``idle`` is the share of a core while nothing happens, ``cpu_ms_per_exit`` that of an exit afterwards.
    """

    engines: int
    exits: int
    threads: int
    idle_memory: float
    idle: float
    events_per_second: float
    cpu_ms_per_exit: float
    peak: float
    busy_threads: int


def fleet(engines: int, containers: int, new_directory: Callable[[], Path]) -> Iterator[Row]:
    """Measure one engine with a number of containers, and many of which each has its share of them."""
    scales = ((1, containers), (engines, containers // engines))
    found = []
    for count, each in scales:
        recording = make_recording(new_directory(), MIXED, each, WORKLOADS)
        found.append(watched(recording, count, new_directory()))
    one, many = found
    for what in found:
        yield from _rows(what)
    yield Row(
        "processor time for an exit, of that with one engine",
        f"{many.cpu_ms_per_exit / one.cpu_ms_per_exit:.2f}",
    )
    memory = 1000 * (many.idle_memory - one.idle_memory) / (many.engines - 1)
    yield Row("memory for one engine more", f"{memory:,.0f} kB")
    threads = (many.threads - one.threads) / (many.engines - 1)
    yield Row("threads for one engine more", f"{threads:.1f}")


def watched(recording: EngineRecording, engines: int, directory: Path) -> Watched:
    """Measure once: first nothing happens, then all engines play the recording at once."""
    exits = engines * recording.exits
    with (
        EngineProcess(recording, directory, answered=True, local=False, engines=engines) as process,
        Exporter(process.urls, directory) as exporter,
    ):
        if not wait_until(lambda: _connected(exporter) == engines, CONNECT_SECONDS):
            raise BenchError(f"{_connected(exporter)} of {engines} engines are connected")
        threads, memory, idle = exporter.threads, exporter.resident, exporter.idle_share(IDLE_SECONDS)
        process.load(recording.event_count)
        before = exporter.cpu_seconds
        seconds = await_exits(exporter, exits, process.release())
        return Watched(
            engines=engines,
            exits=exits,
            threads=threads,
            idle_memory=memory,
            idle=idle,
            events_per_second=engines * recording.event_count / seconds,
            cpu_ms_per_exit=1000 * (exporter.cpu_seconds - before) / exits,
            peak=exporter.peak,
            busy_threads=exporter.threads,
        )


def _connected(exporter: Exporter) -> int:
    lines = exporter.series(CONNECTED).splitlines()
    return sum(line.startswith(CONNECTED) and line.endswith(" 1.0") for line in lines)


def _rows(found: Watched) -> Iterator[Row]:
    engines = f"{found.engines} engine{'s' if found.engines > 1 else ''}"
    yield Row(
        f"{engines}, idle",
        f"{found.idle:.2%}",
        f"of a core; {found.threads} threads, {found.idle_memory:.0f} MB",
    )
    yield Row(
        f"{engines}, {found.exits:,} exits at once",
        f"{found.cpu_ms_per_exit:.2f} ms",
        f"for an exit; {found.events_per_second:,.0f} events/s; at most {found.peak:.0f} MB,"
        f" {found.busy_threads} threads",
    )
