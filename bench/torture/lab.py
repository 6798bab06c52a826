"""All that a torture needs, in a directory: an engine, an exporter on a small disk, its log and its clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.torture.clock import SteppedClock
from bench.torture.engine_clock import EngineClock
from bench.torture.engine_proxy import proxied
from bench.torture.exporter import TorturedExporter
from bench.torture.log_reader import LogReader
from bench.torture.troubles import Tortured
from tests.lab.engine import PrivateEngine
from tests.lab.engine29 import engine_29
from tests.lab.images import import_busybox
from tests.lab.install import ensure_dockerd
from tests.store.files import small_disk

DISK_SIZE = "24m"
ARGUMENTS = ("--storage.retention", "20s", "--workload.limit", "100000")
"""Jobs are kept for seconds; each container is a workload, so that the counters tell of each."""

ENGINES = {"debian": None, "29": engine_29}


@contextmanager
def lab(engine: str, directory: Path, *, live_restore: bool) -> Iterator[Tortured]:
    """Give it running; in the end nothing of it is left but what is in the directory."""
    ensure_dockerd()
    build = ENGINES[engine]
    arguments = ("--live-restore",) if live_restore else ()
    clock, engine_clock = SteppedClock(directory), EngineClock()
    with (
        PrivateEngine(programs=build() if build else None, extra_args=arguments) as private,
        proxied(private.url, engine_clock) as url,
        closing(LogReader(directory / "stderr", directory / "exporter.log")) as reader,
        small_disk(directory / "disk", DISK_SIZE) as disk,
    ):
        import_busybox(private.client())
        exporter = TorturedExporter(url, disk, reader, clock, ARGUMENTS)
        try:
            exporter.begin()
            yield Tortured(private, threading.Lock(), exporter, reader, clock, engine_clock, disk)
        finally:
            exporter.stop()
