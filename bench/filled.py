"""The exporter with thousands of jobs behind it: the memory that it takes, and what a scrape costs."""

import gzip
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.engine import TapeEngine
from bench.exporter import Exporter, Scrape
from bench.replay import trickle
from bench.tape import Tape
from bench.traced import NO_ENDPOINT, Endpoint
from bench.verify import verify

SCRAPING_SECONDS = 5.0
LEAST = 10
AFTER_RESTART = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident MB: when the jobs have ended, when it has been scraped for a while, and at most."""

    resident: float
    scraped: float
    peak: float


@dataclass(frozen=True, slots=True)
class Scrapes:
    """What scrapes of one form took, in seconds, and the bytes of the last."""

    seconds: tuple[float, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Install:
    """An exporter as it may be installed and told: with paramiko or without, and where its traces go."""

    with_ssh: bool
    endpoint: Endpoint = NO_ENDPOINT

    def over(self, engine: TapeEngine, directory: Path) -> Exporter:
        """It, in front of this engine."""
        variables = self.endpoint.variables
        return Exporter(engine.url, directory, with_ssh=self.with_ssh, variables=variables)


@dataclass(frozen=True, slots=True)
class Filled:
    """All that was measured of one exporter with so many jobs."""

    jobs: int
    fresh: Memory
    restarted: Memory
    plain: Scrapes
    compressed: Scrapes
    series: int


def filled(tape: Tape, directory: Path, install: Install, scrapes: int) -> Filled:
    """Let the tape happen at an easy pace, weigh, scrape up to so often; and so again after a restart."""
    with TapeEngine(tape, directory, answered=True, local=True) as engine:
        with install.over(engine, directory) as exporter:
            trickle(tape, engine, exporter)
            install.endpoint.await_told(exporter, tape, answered=True)
            resident = exporter.resident
            both = _pairs(exporter, scrapes)
            fresh = Memory(resident, exporter.resident, exporter.peak)
            verify(exporter, tape, answered=True)
        with install.over(engine, directory) as exporter:
            resident = exporter.resident
            _pairs(exporter, AFTER_RESTART)
            restarted = Memory(resident, exporter.resident, exporter.peak)
            verify(exporter, tape, answered=True)
    plain, compressed = _scrapes(one for one, _ in both), _scrapes(other for _, other in both)
    return Filled(tape.exits, fresh, restarted, plain, compressed, _series(both[-1]))


def _pairs(exporter: Exporter, count: int) -> list[tuple[Scrape, Scrape]]:
    """Scrapes in both forms, in turns; fewer where they take long, but never less than a few."""
    begun, made = time.monotonic(), list[tuple[Scrape, Scrape]]()
    while len(made) < min(count, LEAST) or (
        len(made) < count and time.monotonic() - begun < SCRAPING_SECONDS
    ):
        made.append((exporter.scrape(), exporter.scrape(compressed=True)))
    return made


def _scrapes(made: Iterable[Scrape]) -> Scrapes:
    all_of_them = tuple(made)
    return Scrapes(tuple(scrape.seconds for scrape in all_of_them), len(all_of_them[-1].body))


def _series(pair: tuple[Scrape, Scrape]) -> int:
    """How many series there are, in the plain form and the same in the other."""
    plain, compressed = (len(_lines(body)) for body in (pair[0].body, gzip.decompress(pair[1].body)))
    if plain != compressed:
        raise RuntimeError(f"{plain} series in plain text, {compressed} in gzip")
    return plain


def _lines(exposition: bytes) -> list[bytes]:
    """The lines that are series."""
    return [line for line in exposition.splitlines() if line and not line.startswith(b"#")]
