"""Baseline: the docker SDK reads and parses the same stream in a process of its own."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from docker import APIClient

from bench.engine import ROOT, EngineProcess
from bench.exporter import BenchError
from bench.recording import EngineRecording

CONNECTED = "connected"


def baseline(recording: EngineRecording, directory: Path) -> float:
    """Return exits per second, from the release of the events until the last one is parsed."""
    with EngineProcess(recording, directory, answered=False, local=False) as engine:
        command = [sys.executable, "-m", "bench.baseline", engine.url, str(recording.event_count)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as reader:
            try:
                seconds = _seconds(reader, engine, recording)
            finally:
                # It is done, and must not be waited for if it hangs.
                reader.kill()
    return recording.exits / seconds


def _seconds(reader: subprocess.Popen[str], engine: EngineProcess, recording: EngineRecording) -> float:
    if reader.stdout is None or reader.stdout.readline().strip() != CONNECTED:
        raise BenchError("the SDK's reader did not connect")
    engine.load(recording.event_count)
    released = engine.release()
    return float(reader.stdout.readline()) - released


def main(arguments: list[str]) -> None:
    """Connect, read a number of events, and print the time at which the last one was parsed."""
    parser = argparse.ArgumentParser(prog="python -m bench.baseline", description=__doc__)
    parser.add_argument("url", help="address of the engine")
    parser.add_argument("events", type=int, help="number of events to read")
    chosen = parser.parse_args(arguments)
    events = APIClient(base_url=chosen.url, version="auto").events(decode=True)
    print(CONNECTED, flush=True)
    for _ in range(chosen.events):
        next(events)
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
