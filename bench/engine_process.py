"""The scripted engine in a process of its own: plays a tape as it is told to, a word a line on stdin.

``hold`` waits for a reader and holds its stream, ``emit N`` lets the next N events of the tape happen,
``release`` lets the stream go on. Each answers with the machine's monotonic time, in seconds, of just
before it was done. Unlike ``tests.scripted.serve``, the engine has no containers when a reader connects:
they come with the events, as they do while a real one is watched.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tests.scripted.engine import ScriptedEngine

READER_SECONDS = 60.0


class Player:
    """What can be done with the tape."""

    def __init__(self, engine: ScriptedEngine, events: BinaryIO) -> None:
        self._engine = engine
        self._events = events
        self._words: Mapping[str, Callable[[int], None]] = {
            "hold": self._hold,
            "emit": self._emit,
            "release": self._release,
        }

    def obey(self, line: str) -> float:
        """Do what the line says; when that began."""
        word, _, count = line.strip().partition(" ")
        begun = time.monotonic()
        self._words[word](int(count or 0))
        return begun

    def _hold(self, _: int) -> None:
        self._engine.wait_for_streams(1, seconds=READER_SECONDS)
        self._engine.pause()

    def _emit(self, count: int) -> None:
        for line in islice(self._events, count):
            self._engine.emit(line)

    def _release(self, _: int) -> None:
        self._engine.resume()


def furnish(engine: ScriptedEngine, inspects: BinaryIO | None, *, local: bool) -> None:
    """Say whose machine it is, and how inspects are answered; a list is always empty."""
    engine.info["KernelVersion"] = platform.release() if local else "another-machine"
    engine.info["MemTotal"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    engine.fail_next("/containers/json", HTTPStatus.OK, sys.maxsize, body=b"[]\n")
    for line in inspects or ():
        engine.set_container(json.loads(line))


def main(words: list[str]) -> None:
    """Serve until stdin ends."""
    chosen = _arguments(words)
    engine = ScriptedEngine(chosen.socket.parent, name=chosen.socket.name)
    with ExitStack() as files:
        inspects = files.enter_context(chosen.inspects.open("rb")) if chosen.inspects else None
        furnish(engine, inspects, local=chosen.local)
        events = files.enter_context(chosen.events.open("rb"))
        files.enter_context(engine)
        print(engine.url, flush=True)
        player = Player(engine, events)
        for line in sys.stdin:
            print(player.obey(line), flush=True)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engine_process", description=__doc__)
    parser.add_argument("socket", type=Path, help="where to listen; its directory must be there")
    parser.add_argument("events", type=Path, help="the tape: one event a line")
    parser.add_argument("--inspects", type=Path, help="one inspect answer a line; without: 404 for all")
    parser.add_argument("--local", action="store_true", help="pretend to run on this machine's kernel")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(sys.argv[1:])
