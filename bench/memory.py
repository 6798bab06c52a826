"""Memory of an exporter after thousands of jobs, and the cost of its scrapes."""

import gzip
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.engine import EngineProcess
from bench.exporter import Exporter, Scrape
from bench.recording import EngineRecording
from bench.replay import trickle
from bench.tracing import NO_ENDPOINT, Endpoint
from bench.verify import verify

SCRAPING_SECONDS = 5.0
MIN_SCRAPES = 10
AFTER_RESTART = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MB: after the jobs, after scrapes, and the highest."""

    resident: float
    scraped: float
    peak: float


@dataclass(frozen=True, slots=True)
class Scrapes:
    """Durations of scrapes in one format in seconds, and the size of the last in bytes."""

    seconds: tuple[float, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Installation:
    """Exporter with or without paramiko, and the endpoint of its traces."""

    with_ssh: bool
    endpoint: Endpoint = NO_ENDPOINT

    def start(self, engine: EngineProcess, directory: Path) -> Exporter:
        """Return such an exporter that watches an engine."""
        variables = self.endpoint.variables
        return Exporter(engine.url, directory, with_ssh=self.with_ssh, variables=variables)


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """Results of one exporter after a number of jobs."""

    jobs: int
    fresh: Memory
    restarted: Memory
    plain: Scrapes
    compressed: Scrapes
    series: int


def measure_memory(
    recording: EngineRecording, directory: Path, install: Installation, scrapes: int
) -> MemoryResult:
    """Measure after a slow replay, after up to ``scrapes`` scrapes, and again after a restart."""
    with EngineProcess(recording, directory, answered=True, local=True) as engine:
        with install.start(engine, directory) as exporter:
            trickle(recording, engine, exporter)
            install.endpoint.wait_until_exported(exporter, recording, answered=True)
            resident = exporter.resident
            both = _pairs(exporter, scrapes)
            fresh = Memory(resident, exporter.resident, exporter.peak)
            verify(exporter, recording, answered=True)
        with install.start(engine, directory) as exporter:
            resident = exporter.resident
            _pairs(exporter, AFTER_RESTART)
            restarted = Memory(resident, exporter.resident, exporter.peak)
            verify(exporter, recording, answered=True)
    plain, compressed = _scrapes(one for one, _ in both), _scrapes(other for _, other in both)
    return MemoryResult(recording.exits, fresh, restarted, plain, compressed, _series(both[-1]))


def _pairs(exporter: Exporter, count: int) -> list[tuple[Scrape, Scrape]]:
    """Scrape in both formats in turns; less often if that takes long, but at least a few times."""
    begun, made = time.monotonic(), list[tuple[Scrape, Scrape]]()
    while len(made) < min(count, MIN_SCRAPES) or (
        len(made) < count and time.monotonic() - begun < SCRAPING_SECONDS
    ):
        made.append((exporter.scrape(), exporter.scrape(compressed=True)))
    return made


def _scrapes(made: Iterable[Scrape]) -> Scrapes:
    all_of_them = tuple(made)
    return Scrapes(tuple(scrape.seconds for scrape in all_of_them), len(all_of_them[-1].body))


def _series(pair: tuple[Scrape, Scrape]) -> int:
    """Return the number of series, which is the same in both formats."""
    plain, compressed = (len(_lines(body)) for body in (pair[0].body, gzip.decompress(pair[1].body)))
    if plain != compressed:
        raise RuntimeError(f"{plain} series in plain text, {compressed} in gzip")
    return plain


def _lines(exposition: bytes) -> list[bytes]:
    """Return the lines that are series."""
    return [line for line in exposition.splitlines() if line and not line.startswith(b"#")]
