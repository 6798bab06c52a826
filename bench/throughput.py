"""The whole way: from the engine's stream to exits that are committed and shown, in exits per second."""

from dataclasses import dataclass
from pathlib import Path

from bench.engine import TapeEngine
from bench.exporter import COMMITS, Exporter, sum_of
from bench.replay import flood
from bench.tape import Tape
from bench.traced import NO_ENDPOINT, Endpoint
from bench.verify import verify


@dataclass(frozen=True, slots=True)
class Way:
    """In which circumstances: ``answered`` inspects, and a ``local`` engine, whose kernel is a witness."""

    name: str
    answered: bool
    local: bool


WAYS = (
    Way("inspects answered, local engine", answered=True, local=True),
    Way("inspects 404, local engine", answered=False, local=True),
    Way("inspects answered, remote (errors wait 1 s)", answered=True, local=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the whole way cost; ``peak`` is in MB, with the backlog of a flood in it."""

    exits_per_second: float
    cpu_ms_per_exit: float
    exits_per_commit: float
    peak: float


def throughput(tape: Tape, way: Way, directory: Path, endpoint: Endpoint = NO_ENDPOINT) -> Run:
    """One run over a fresh database. Raises BenchError where a single exit is wrong."""
    with (
        TapeEngine(tape, directory, answered=way.answered, local=way.local) as engine,
        Exporter(engine.url, directory, variables=endpoint.variables) as exporter,
    ):
        cost = flood(tape, engine, exporter)
        peak = exporter.peak
        commits = sum_of(exporter.scrape().body.decode(), COMMITS)
        verify(exporter, tape, answered=way.answered)
        endpoint.await_told(exporter, tape, answered=way.answered)
    return Run(
        exits_per_second=tape.exits / cost.seconds,
        cpu_ms_per_exit=1000 * cost.cpu_seconds / tape.exits,
        exits_per_commit=tape.exits / commits,
        peak=peak,
    )
