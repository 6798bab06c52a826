"""Scripted engines in a process of their own: each plays a recording by commands on stdin, one a line.

``hold`` waits for the readers and holds their streams, ``emit N`` sends the next N events of the recording
from each engine, ``release`` releases the streams. Each is answered with the monotonic time in seconds just
before it was done. Unlike in ``tests.scripted.serve``, an engine has no containers when a reader connects:
they come with the events, as with a real engine.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tests.scripted.engine import ScriptedEngine

READER_SECONDS = 60.0


class Player:
    """Player of one recording on each of some engines."""

    def __init__(self, engines: Sequence[ScriptedEngine], events: BinaryIO) -> None:
        self._engines = engines
        self._events = events
        self._commands: Mapping[str, Callable[[int], None]] = {
            "hold": self._hold,
            "emit": self._emit,
            "release": self._release,
        }

    def run(self, line: str) -> float:
        """Run a command, and return when that began."""
        command, _, count = line.strip().partition(" ")
        begun = time.monotonic()
        self._commands[command](int(count or 0))
        return begun

    def _hold(self, _: int) -> None:
        for engine in self._engines:
            engine.wait_for_streams(1, seconds=READER_SECONDS)
            engine.pause()

    def _emit(self, count: int) -> None:
        for line in islice(self._events, count):
            for engine in self._engines:
                engine.emit(line)

    def _release(self, _: int) -> None:
        for engine in self._engines:
            engine.resume()


def configure(engine: ScriptedEngine, inspects: BinaryIO | None, *, local: bool) -> None:
    """Set the kernel and the answers to inspects; the container list is always empty."""
    engine.info["KernelVersion"] = platform.release() if local else "another-machine"
    engine.info["MemTotal"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    engine.fail_next("/containers/json", HTTPStatus.OK, sys.maxsize, body=b"[]\n")
    for line in inspects or ():
        engine.set_container(json.loads(line))


def main(arguments: list[str]) -> None:
    """Serve until stdin ends."""
    chosen = _arguments(arguments)
    with ExitStack() as opened:
        engines = [
            opened.enter_context(_configured(chosen, number)) for number in range(1, chosen.engines + 1)
        ]
        print(*(engine.url for engine in engines), flush=True)
        player = Player(engines, opened.enter_context(chosen.events.open("rb")))
        for line in sys.stdin:
            print(player.run(line), flush=True)


def _configured(chosen: argparse.Namespace, number: int) -> ScriptedEngine:
    """Return one of the engines, which is a host of its own."""
    engine = ScriptedEngine(chosen.directory, name=f"{number}.sock")
    engine.info["Name"] = f"host-{number}"
    with ExitStack() as files:
        inspects = files.enter_context(chosen.inspects.open("rb")) if chosen.inspects else None
        configure(engine, inspects, local=chosen.local)
    return engine


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engine_process", description=__doc__)
    parser.add_argument("directory", type=Path, help="where to listen")
    parser.add_argument("events", type=Path, help="the recording: one event a line")
    parser.add_argument("--inspects", type=Path, help="one inspect answer a line; without it, all are 404")
    parser.add_argument("--engines", type=int, default=1, help="how many play it, each on a host of its own")
    parser.add_argument("--local", action="store_true", help="report the kernel of this machine")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
