"""Delay on a real engine: needs root, ``dockerd`` and a static busybox."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker

from bench.exporter import EXITS, BenchError, Exporter, sum_of
from exporter.model import SECOND_NS
from tests.lab import PrivateEngine, import_busybox
from tests.lab.install import missing_programs

GIVE_UP_SECONDS = 10.0
JOB = ("sh", "-c", "sleep 0.1")


def is_available() -> bool:
    """Return whether a real engine can be started here."""
    return not missing_programs()


def real_delays(directory: Path, jobs: int) -> list[float]:
    """Return the seconds from the engine's time of each ``die`` to the end of the scrape that shows it."""
    with PrivateEngine() as engine:
        client = engine.client()
        image = import_busybox(client)
        with Exporter(engine.url, directory) as exporter, _deaths(client) as deaths:
            return [_delay(client, image, exporter, deaths) for _ in range(jobs)]


class _Deaths:
    """Times of ``die`` events by container."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_ns: dict[str, int] = {}

    def read(self, events: Iterator[dict[str, Any]]) -> None:
        for event in events:
            with self._changed:
                self._at_ns[event["Actor"]["ID"]] = event["timeNano"]
                self._changed.notify_all()

    def of(self, container_id: str) -> int:
        with self._changed:
            if not self._changed.wait_for(lambda: container_id in self._at_ns, GIVE_UP_SECONDS):
                raise BenchError(f"the engine reported no end of {container_id[:12]}")
            return self._at_ns[container_id]


@contextmanager
def _deaths(client: docker.DockerClient) -> Iterator[_Deaths]:
    deaths = _Deaths()
    events = client.api.events(decode=True, filters={"event": "die"})
    threading.Thread(target=deaths.read, args=(events,), daemon=True).start()
    with closing(events):
        yield deaths


def _delay(client: docker.DockerClient, image: str, exporter: Exporter, deaths: _Deaths) -> float:
    before = sum_of(exporter.scrape().body.decode(), EXITS)
    container = client.containers.run(image, list(JOB), detach=True, network_mode="none")
    begun = time.monotonic()
    while sum_of(exporter.scrape().body.decode(), EXITS) == before:
        if time.monotonic() - begun > GIVE_UP_SECONDS:
            raise BenchError(f"the end of {container.short_id} is not shown after {GIVE_UP_SECONDS} s")
    shown_ns = time.time_ns()
    seconds = (shown_ns - deaths.of(str(container.id))) / SECOND_NS
    container.remove()
    return seconds
