"""Cost of an export, measured in a process of its own that prints it as a line of JSON."""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.engine import ROOT
from bench.exporter import BenchError
from tests.lab.exporter import clean_environment


@dataclass(slots=True)
class ExportCost:
    """Seconds, processor seconds of all threads, and the number of spans that have ``arrived``."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    arrived: int = 0


@contextmanager
def measured() -> Iterator[ExportCost]:
    """Measure the block, which sets the number that has arrived."""
    cost = ExportCost()
    # So that the garbage collector does not scan earlier objects during the measurement.
    gc.collect()
    gc.freeze()
    begun, cpu_begun = time.monotonic(), time.process_time()
    yield cost
    cost.seconds, cost.cpu_seconds = time.monotonic() - begun, time.process_time() - cpu_begun


def print_cost(cost: ExportCost) -> None:
    """Print the cost for ``run_child``."""
    print(json.dumps(asdict(cost)))


def run_child(module: str, *arguments: object) -> ExportCost:
    """Run a module that prints its cost, and return that. Raises BenchError if it fails."""
    return ExportCost(**output_of(module, *arguments))


def output_of(module: str, *arguments: object) -> Any:
    """Run a module, and return the JSON that it prints. Raises BenchError if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{module} ended with {done.returncode}; see its output above")
    return json.loads(done.stdout)
