"""Serve a file of event lines on a socket: `python -m tests.scripted.serve SOCKET FILE.jsonl`.

Every stream gets the whole file, as fast as its reader takes it and whatever `since` says, and stays open;
one with an `until` gets the lines of that time and ends. The URL is printed
once it can be used. Meant for benchmarks, in a process of its own.
"""

import argparse
import json
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tests.scripted.engine import ScriptedEngine
from tests.scripted.event_log import Entry, EventLog
from tests.scripted.event_query import EventQuery

ENDS = (signal.SIGTERM, signal.SIGINT)


class CompleteLog(EventLog):
    """Log that keeps all events, and sends all to every reader."""

    def __init__(self) -> None:
        super().__init__(reach=None)

    def forget(self) -> None:
        """Keep all: the log is filled before the engine starts."""

    def replay(self, query: EventQuery) -> list[Entry]:
        """Return all events, or those in the times of a query that has an end."""
        return super().replay(EventQuery(since=0) if query.until is None else query)


def fill(engine: ScriptedEngine, events: BinaryIO, containers: BinaryIO | None) -> None:
    """Add event lines and containers to the engine."""
    for line in events:
        engine.emit(line)
    for line in containers or ():
        engine.set_container(json.loads(line))


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.scripted.serve", description=__doc__)
    parser.add_argument(
        "socket", type=Path, metavar="SOCKET", help="where to listen; its directory must be there"
    )
    parser.add_argument("events", type=Path, metavar="FILE.jsonl", help="one event a line, sent as it is")
    parser.add_argument(
        "--containers", type=Path, metavar="FILE", help="one inspect answer a line; default: none"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    chosen = parse_arguments(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    engine = ScriptedEngine(chosen.socket.parent, name=chosen.socket.name, log=CompleteLog())
    with ExitStack() as files:
        containers = files.enter_context(chosen.containers.open("rb")) if chosen.containers else None
        fill(engine, files.enter_context(chosen.events.open("rb")), containers)
    with engine:
        print(engine.url, flush=True)  # noqa: T201 - tells the caller that it may connect
        signal.sigwait(ENDS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
