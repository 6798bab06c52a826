"""Cost of following the logs of dstack's containers, on a real engine: needs root, ``dockerd``, busybox."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.exporter import BenchError, Exporter
from bench.table import Row
from tests.lab import PrivateEngine, import_busybox
from tests.lab.dstack_stand_in import Shared, StandIn, recorded_lines, wait_at
from tests.lab.wait import wait_until

RECORDING = "d-exit-0"
LINES = 200
AT_ONCE = 4
IDLE_SECONDS = 10.0
GIVE_UP_SECONDS = 120.0
# Processor seconds within a quarter of a second below which an exporter has nothing left to do.
QUIET_CPU, QUIET_SECONDS = 0.02, 0.25
FIRST, SECOND, END = "first", "second", "end"
WITHOUT = {"EXIT_EXPORTER_DSTACK_RUNNER_LOG": "off"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What an exporter takes beside running containers.

    ``begun`` is its processor time in seconds until it has nothing left to do, ``idle`` that of a second in
    which nothing is logged, ``logged`` that of ``lines`` lines that are logged at once.
    """

    threads: int
    resident: float
    begun: float
    idle: float
    logged: float
    lines: int


def measure_job_logs(containers: int, directory: Path) -> Iterator[Row]:
    """Yield the cost with the logs followed, held against the same without.

    The exporter without them comes first; the other one then reads what has been logged up to then. Raises
    BenchError if an end is lost or wrong.
    """
    shared = Shared(directory / "shared", FIRST, SECOND, END)
    with PrivateEngine() as engine:
        client = engine.client()
        import_busybox(client)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tasks = [_task(number) for number in range(containers)]
            running = list(pool.map(lambda task: task.start(client, shared), tasks))
            with _exporter(engine.url, directory / "without", WITHOUT) as exporter:
                without = _cost(exporter, shared, FIRST, containers)
            with _exporter(engine.url, directory / "with", {}) as exporter:
                followed = _cost(exporter, shared, SECOND, containers)
                with shared.opened(END):
                    list(pool.map(lambda task, each: task.clear_up(each, shared), tasks, running))
                _verify(exporter, containers)
    return _rows(followed, without)


def _task(number: int) -> StandIn:
    """Return a task whose job logs at two gates as the runner does, and succeeds at the third."""
    line = next(line for line in recorded_lines("d-oom") if "API error" in line)
    logs = f"i=0; while [ $i -lt {LINES} ]; do echo '{line}'; i=$((i+1)); done"
    job = "; ".join([wait_at(FIRST), logs, wait_at(SECOND), logs, wait_at(END), "exit 0"])
    return StandIn.new(RECORDING, job, 0, number)


@contextmanager
def _exporter(url: str, directory: Path, variables: dict[str, str]) -> Iterator[Exporter]:
    directory.mkdir()
    with Exporter(url, directory, variables=variables) as exporter:
        yield exporter


def _cost(exporter: Exporter, shared: Shared, gate: str, containers: int) -> Cost:
    begun = _quiet_cpu(exporter)
    time.sleep(IDLE_SECONDS)
    idle = (exporter.cpu_seconds - begun) / IDLE_SECONDS
    before, since = exporter.cpu_seconds, time.monotonic()
    with shared.opened(gate):
        logged = _quiet_cpu(exporter) - before - idle * (time.monotonic() - since)
    return Cost(exporter.threads, exporter.resident, begun, idle, logged, LINES * containers)


def _quiet_cpu(exporter: Exporter) -> float:
    """Return its processor time once it has nothing left to do."""

    def is_quiet() -> bool:
        before = exporter.cpu_seconds
        time.sleep(QUIET_SECONDS)
        return exporter.cpu_seconds - before < QUIET_CPU

    # Again and again, since the engine may be slower than the exporter.
    if not wait_until(lambda: all(is_quiet() for _ in range(4)), GIVE_UP_SECONDS):
        raise BenchError("the exporter always has something to do")
    return exporter.cpu_seconds


def _verify(exporter: Exporter, containers: int) -> None:
    """Check that each job has ended as it did."""
    ends = {"done": containers}
    if not wait_until(lambda: _statuses(exporter) == ends, GIVE_UP_SECONDS):
        raise BenchError(
            f"{containers} jobs of dstack have succeeded, but the API shows {_statuses(exporter)}"
        )


def _statuses(exporter: Exporter) -> dict[str, int]:
    statuses = [str(job["status"]) for job in exporter.jobs()]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _rows(followed: Cost, without: Cost) -> Iterator[Row]:
    yield Row("threads", f"{followed.threads}", f"{without.threads} without")
    yield Row("resident", f"{followed.resident:.1f} MB", f"{without.resident:.1f} without")
    yield Row(
        "processor time to begin",
        f"{followed.begun:.2f} s",
        f"{without.begun:.2f} without; {followed.lines:,} lines are read again",
    )
    yield Row(
        "   while nothing is logged",
        f"{1000 * followed.idle:.1f} ms/s",
        f"{1000 * without.idle:.1f} without",
    )
    yield Row(
        "   for a line",
        f"{1e6 * followed.logged / followed.lines:.0f} µs",
        f"{1e6 * without.logged / without.lines:.0f} without; {followed.lines:,} lines at once",
    )
