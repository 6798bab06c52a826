"""Speed in exits per second, from the engine's stream to exits that are committed and shown."""

from dataclasses import dataclass
from pathlib import Path

from bench.engine import EngineProcess
from bench.exporter import COMMITS, Exporter, sum_of
from bench.recording import EngineRecording
from bench.replay import flood
from bench.tracing import NO_ENDPOINT, Endpoint
from bench.verify import verify


@dataclass(frozen=True, slots=True)
class Variant:
    """Variant of a run: ``answered`` inspects, and a ``local`` engine, whose OOM counter is read."""

    name: str
    answered: bool
    local: bool


VARIANTS = (
    Variant("inspects answered, local engine", answered=True, local=True),
    Variant("inspects 404, local engine", answered=False, local=True),
    Variant("inspects answered, remote (errors wait 1 s)", answered=True, local=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """Results of one run; ``peak`` is memory in MB, with the backlog."""

    exits_per_second: float
    containers_per_second: float
    cpu_ms_per_exit: float
    exits_per_commit: float
    peak: float


def throughput(
    recording: EngineRecording, variant: Variant, directory: Path, endpoint: Endpoint = NO_ENDPOINT
) -> Run:
    """Run once with a new database. Raises BenchError if a single exit is wrong."""
    with (
        EngineProcess(recording, directory, answered=variant.answered, local=variant.local) as engine,
        Exporter(engine.url, directory, variables=endpoint.variables) as exporter,
    ):
        cost = flood(recording, engine, exporter)
        peak = exporter.peak
        commits = sum_of(exporter.scrape().body.decode(), COMMITS)
        verify(exporter, recording, answered=variant.answered)
        endpoint.wait_until_exported(exporter, recording, answered=variant.answered)
    return Run(
        exits_per_second=recording.exits / cost.seconds,
        containers_per_second=len(recording.containers) / cost.seconds,
        cpu_ms_per_exit=1000 * cost.cpu_seconds / recording.exits,
        exits_per_commit=recording.exits / commits,
        peak=peak,
    )
