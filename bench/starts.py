"""What it costs to be there: from the start until ready, while nothing happens, and a command."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.engine import ROOT, EngineProcess
from bench.exporter import BenchError, Exporter
from bench.percentiles import median
from bench.recording import make_recording
from bench.scenario import PROMPT
from bench.stored_jobs import fill_store
from bench.table import Row
from tests.lab.exporter import clean_environment

READY_SECONDS, STORED_READY_SECONDS, COMMAND_SECONDS = 0.7, 1.0, 0.15
IDLE_SHARE = 0.001
IDLE_SECONDS = 20.0
LISTED = 100
BARE = "pass"


class Cost(NamedTuple):
    """Seconds that something took, and of processor time."""

    elapsed: float
    processor: float


def start_rows(repeats: int, stored: int, directory: Path) -> Iterator[Row]:
    """Measure starts over an empty store and over one with many jobs, and the command ``ps`` over 100."""
    bare = [_run([sys.executable, "-c", BARE]) for _ in range(repeats)]
    yield _row("python alone", bare)
    recording = make_recording(directory, PROMPT, 1, 1)
    with EngineProcess(recording, directory, answered=True, local=True) as engine:
        empty = [_start(engine.url, _made(directory / f"empty-{number}")) for number in range(repeats)]
        yield _row("start until ready, nothing on record", empty, READY_SECONDS)
        few = _made(directory / "few")
        fill_store(few, LISTED)
        with Exporter(engine.url, few) as exporter:
            yield _idle_row(exporter)
            command = [sys.executable, "-m", "exporter", "ps", "--all", "--url", exporter.url]
            yield _row(f"ps of {LISTED} jobs", [_run(command) for _ in range(repeats)], COMMAND_SECONDS)
        many = _made(directory / "many")
        fill_store(many, stored)
        starts = [_start(engine.url, many) for _ in range(repeats)]
        yield _row(f"start until ready, {stored:,} jobs on record", starts, STORED_READY_SECONDS)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _start(url: str, directory: Path) -> Cost:
    begun = time.perf_counter()
    with Exporter(url, directory) as exporter:
        return Cost(time.perf_counter() - begun, exporter.cpu_seconds)


def _run(command: Sequence[str]) -> Cost:
    """Run a command to its end. Raises BenchError if it fails."""
    used, begun = _processor_of_children(), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"{command} ended with {done.returncode}: {done.stderr.decode()}")
    return Cost(time.perf_counter() - begun, _processor_of_children() - used)


def _processor_of_children() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _idle_row(exporter: Exporter) -> Row:
    share = exporter.idle_share(IDLE_SECONDS)
    aim = f"at most {IDLE_SHARE:.1%}"
    return Row("while nothing happens, of a core", f"{share:.2%}", "", aim, share <= IDLE_SHARE)


def _row(what: str, costs: Sequence[Cost], aim: float | None = None) -> Row:
    usual, computed = median(each.elapsed for each in costs), median(each.processor for each in costs)
    detail = f"{min(costs).elapsed:.2f} to {max(costs).elapsed:.2f}; {computed:.2f} s of processor time"
    if aim is None:
        return Row(what, f"{usual:.2f} s", detail)
    return Row(what, f"{usual:.2f} s", detail, f"at most {aim} s", usual <= aim)
