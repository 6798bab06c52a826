"""The limit: how fast the docker SDK alone reads and parses the same stream, in a process of its own."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from docker import APIClient

from bench.engine import ROOT, TapeEngine
from bench.exporter import BenchError
from bench.tape import Tape

CONNECTED = "connected"


def limit(tape: Tape, directory: Path) -> float:
    """Exits per second, from the moment at which the events may flow until the last one is parsed."""
    with TapeEngine(tape, directory, answered=False, local=False) as engine:
        command = [sys.executable, "-m", "bench.limit", engine.url, str(tape.event_count)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as reader:
            try:
                seconds = _seconds(reader, engine, tape)
            finally:
                # It has nothing to do any more, and must not be waited for if it does not know.
                reader.kill()
    return tape.exits / seconds


def _seconds(reader: subprocess.Popen[str], engine: TapeEngine, tape: Tape) -> float:
    if reader.stdout is None or reader.stdout.readline().strip() != CONNECTED:
        raise BenchError("the SDK's reader did not connect")
    engine.load(tape.event_count)
    released = engine.release()
    return float(reader.stdout.readline()) - released


def main(words: list[str]) -> None:
    """Connect, read so many events, and print when the last one was parsed."""
    parser = argparse.ArgumentParser(prog="python -m bench.limit", description=__doc__)
    parser.add_argument("url", help="where the engine is")
    parser.add_argument("events", type=int, help="how many events to read")
    chosen = parser.parse_args(words)
    events = APIClient(base_url=chosen.url, version="auto").events(decode=True)
    print(CONNECTED, flush=True)
    for _ in range(chosen.events):
        next(events)
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
