"""What reading an engine costs for each exit: requests, bytes and function calls, which no clock blurs.

The limits are about half as much again as what was counted: they catch a second request or a detour for each
event, and leave room for a feature.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from exporter.sources.docker.messages import EventReceived, Inspected
from tests.contract.engines import Table, event, exited, network_event
from tests.contract.watcher_driver import WatcherDriver
from tests.scripted.engine import ScriptedEngine
from tests.scripted.wire import encoded

JOBS = 100
# Counted: 2.0 and 1.0.
REQUESTS_FOR_A_JOB = 2
REQUESTS_FOR_A_JOB_IN_A_BURST = 1.2
# Counted: 439; headers of requests and answers, and the chunks of events.
OVERHEAD_BYTES_OF_A_REQUEST = 600
# Counted: 28, and 88 (with urllib3 395).
CALLS_FOR_AN_EVENT = 42
CALLS_FOR_A_REQUEST = 130


def life(number: int) -> list[Table]:
    """Return the events of a job."""
    began = number / 10
    return [
        event("create", began, number),
        network_event("connect", began + 0.1, number),
        event("start", began + 0.2, number),
        event("die", began + 0.3, number, exitCode="3"),
        network_event("disconnect", began + 0.4, number),
        event("destroy", began + 0.5, number),
    ]


def inspections(engine: ScriptedEngine) -> int:
    """Return the number of requests about containers."""
    return sum("/containers/" in target and "/containers/json" not in target for _, target in engine.requests)


def receive_answers(watcher: WatcherDriver, announced: int) -> None:
    """Receive messages until all announced inspections are there."""
    while announced:
        announced -= isinstance(watcher.receive(1)[0], Inspected)


def receive_events(watcher: WatcherDriver, count: int) -> tuple[int, int]:
    """Receive so many events; return how many inspections they announce, and how many came with them."""
    announced = came = 0
    while count:
        (message,) = watcher.receive(1)
        if isinstance(message, EventReceived):
            count, announced = count - 1, announced + message.inspecting
        came += isinstance(message, Inspected)
    return announced, came


@contextmanager
def calls_by_thread() -> Iterator[Counter[str]]:
    """Count the calls of functions in Python, by the first word of the name of their thread.

    Only in threads that start meanwhile.
    """
    counted: dict[threading.Thread, int] = {}
    by_name: Counter[str] = Counter()

    def count(_frame: FrameType, kind: str, _argument: object) -> None:
        if kind == "call":
            thread = threading.current_thread()
            counted[thread] = counted.get(thread, 0) + 1

    threading.setprofile(count)
    try:
        yield by_name
    finally:
        threading.setprofile(None)
        for thread, calls in counted.items():
            by_name[thread.name.partition(" ")[0]] += calls


@pytest.fixture
def jobs(engine: ScriptedEngine) -> list[list[Table]]:
    """Jobs whose containers the engine knows."""
    for number in range(JOBS):
        engine.set_container(exited(number / 10 + 0.2, number / 10 + 0.3, 3, number))
    return [life(number) for number in range(JOBS)]


def test_a_job_is_inspected_at_its_start_and_at_its_end(
    engine: ScriptedEngine, jobs: list[list[Table]]
) -> None:
    with calls_by_thread() as calls, WatcherDriver(engine) as watcher:
        watcher.receive(2)
        before, carried = inspections(engine), engine.bytes_carried
        for events in jobs:
            for each in events:
                engine.emit(each)
                announced, came = receive_events(watcher, 1)
                receive_answers(watcher, announced - came)
        requests, carried = inspections(engine) - before, engine.bytes_carried - carried
    assert requests <= JOBS * REQUESTS_FOR_A_JOB
    content = sum(len(encoded(each)) for events in jobs for each in events)
    content += requests * len(encoded(exited(1, 2, 3)))
    assert carried - content <= requests * OVERHEAD_BYTES_OF_A_REQUEST
    # With those of the list.
    assert calls["inspect"] <= inspections(engine) * CALLS_FOR_A_REQUEST


def test_in_a_burst_a_job_is_inspected_once(engine: ScriptedEngine, jobs: list[list[Table]]) -> None:
    with calls_by_thread() as calls, WatcherDriver(engine) as watcher:
        watcher.receive(2)
        before = inspections(engine)
        engine.delay("/containers/", math.inf)
        engine.pause()
        for each in (each for events in jobs for each in events):
            engine.emit(each)
        engine.resume()
        announced, came = receive_events(watcher, sum(map(len, jobs)))
        engine.delay("/containers/", 0)
        receive_answers(watcher, announced - came)
        requests = inspections(engine) - before
    assert requests <= JOBS * REQUESTS_FOR_A_JOB_IN_A_BURST
    assert calls["watch"] <= sum(map(len, jobs)) * CALLS_FOR_AN_EVENT
