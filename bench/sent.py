"""What it costs to send spans: measured by a process of its own, which says so in a line on stdout."""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from bench.engine import ROOT
from bench.exporter import BenchError
from tests.lab.exporter import clean_environment


@dataclass(slots=True)
class Sent:
    """Seconds of the clock and of the processor (all threads), and how many spans have ``arrived``."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    arrived: int = 0


@contextmanager
def timed() -> Iterator[Sent]:
    """Measure what is done meanwhile; who does it fills in what has arrived."""
    sent = Sent()
    # What was made before is no part of it: nor shall the garbage collector go through it again and again.
    gc.collect()
    gc.freeze()
    begun, cpu_begun = time.monotonic(), time.process_time()
    yield sent
    sent.seconds, sent.cpu_seconds = time.monotonic() - begun, time.process_time() - cpu_begun


def say(sent: Sent) -> None:
    """For ``heard``."""
    print(json.dumps(asdict(sent)))


def heard(module: str, *words: object) -> Sent:
    """Run a module that says what it has sent."""
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{module} ended with {done.returncode}; what it said stands above")
    return Sent(**json.loads(done.stdout))
