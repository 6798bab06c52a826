"""Streams of the whole daemon: nothing is lost, and nothing waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Self

import pytest
import requests

from tests.contract.engines import event, exited
from tests.contract.pipeline_driver import PipelineDriver
from tests.contract.tracker_driver import die, start
from tests.integration.faces import samples
from tests.lab.exporter import ExporterProcess
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.web.event_stream import Event as Sent
from tests.web.event_stream import EventStream

TIMEOUT_SECONDS = 20.0
# The containers of these tests ended longer ago than the default retention.
KEEP = ("--storage.retention", "0")
STREAMS, ROUNDS, JOBS = 200, 6, 20
# Measured: 1 MB. A copy for each stream would be 40 MB.
GROWTH_BYTES = 16 << 20


@pytest.fixture
def exporter(engine: ScriptedEngine, tmp_path: Path) -> Iterator[ExporterProcess]:
    """Start a daemon and wait until it is ready."""
    with ExporterProcess(engine.url, tmp_path, arguments=KEEP) as ready:
        yield ready


def end_job(engine: ScriptedEngine, number: int) -> None:
    """Run a job from start to end."""
    engine.set_container(exited(1, 2, 3, number))
    engine.emit(event("start", 1, number))
    engine.emit(event("die", 2, number, exitCode="3"))


def opened(exporter: ExporterProcess, last_event_id: str = "") -> EventStream:
    """Return a stream whose opening is read."""
    stream = EventStream(exporter.url, last_event_id)
    next(stream.messages())
    return stream


def ends(stream: EventStream, count: int) -> list[str]:
    """Return the names of the next jobs that end."""
    names: list[str] = []
    while len(names) < count:
        sent: Sent = stream.next()
        assert sent.type == "job"
        if sent.data["status"] != "running":
            names.append(sent.data["name"])
    return names


class Scraper:
    """Scrapes without a pause until it is stopped."""

    def __init__(self, url: str) -> None:
        self.statuses: list[int] = []
        self._url = url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._scrape, name="scraper")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _scrape(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not self._stopping.is_set():
                self.statuses.append(session.get(f"{self._url}/metrics", timeout=TIMEOUT_SECONDS).status_code)


def resident_bytes(exporter: ExporterProcess) -> float:
    """Return the memory of the daemon."""
    return samples(exporter, "process_resident_memory_bytes")[()]


def test_many_streams_lose_nothing_and_hold_up_nothing(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    memory: list[float] = []
    with ExitStack() as stack:
        streams = [stack.enter_context(opened(exporter)) for _ in range(STREAMS)]
        scraper = stack.enter_context(Scraper(exporter.url))
        for first in range(0, ROUNDS * JOBS, JOBS):
            for number in range(first, first + JOBS):
                end_job(engine, number)
            expected = {f"job-{number}" for number in range(first, first + JOBS)}
            for stream in streams:
                assert {*ends(stream, JOBS)} == expected
            memory.append(resident_bytes(exporter))
        assert samples(exporter, "exit_exporter_stream_clients") == {(): STREAMS}
    assert {*scraper.statuses} == {HTTPStatus.OK}
    assert len(scraper.statuses) > ROUNDS
    assert samples(exporter, "exit_exporter_stream_dropped_total") == {(): 0}
    assert sum(samples(exporter, "container_exits_total").values()) == ROUNDS * JOBS
    # What a stream is sent is kept once for all of them, and within a bound.
    assert max(memory) - memory[0] < GROWTH_BYTES


def test_a_stream_ends_with_the_daemon_and_goes_on_with_the_next(
    engine: ScriptedEngine, exporter: ExporterProcess
) -> None:
    with opened(exporter) as stream:
        end_job(engine, 1)
        assert ends(stream, 1) == ["job-1"]
        assert exporter.stop() == 0
        assert stream.response.read() == b""
        last = stream.last_event_id
    end_job(engine, 2)
    exporter.start()
    exporter.await_ready()
    end_job(engine, 3)
    with opened(exporter, last) as stream:
        assert ends(stream, 2) == ["job-2", "job-3"]


@pytest.mark.usefixtures("fast_retries")
def test_streams_are_told_of_jobs_on_record_only(tmp_path: Path) -> None:
    told: list[list[str]] = []
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.recorder.on_committed(
            lambda: told.append([each.record.status for each in pipeline.store.reader.latest_changes(0, 9)])
        )
        pipeline.connect()
        assert pipeline.becomes_ready()
        pipeline.store.refuses_commits = True
        pipeline.events(start(0))
        assert pipeline.is_refused(3)
        assert told == []
        pipeline.store.refuses_commits = False
        assert wait_until(lambda: told == [["running"]], TIMEOUT_SECONDS)
        pipeline.events(die(1, 0))
        assert wait_until(lambda: told == [["running"], ["done"]], TIMEOUT_SECONDS)
