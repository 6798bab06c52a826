"""Answers of an engine, nearly right: each is a value or an EngineError, and a daemon counts on."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.address import EngineAddress
from exporter.sources.docker.engine import EngineError
from exporter.sources.docker.supervisors.dstack import IS_TASK, TASK_ID
from exporter.text import printable
from tests.contract.engines import container, event, exited, identity, network_event, on_other_host
from tests.lab.exporter import ExporterProcess
from tests.lab.mutations import mutated_json
from tests.lab.wait import wait_until
from tests.scripted.engine import ScriptedEngine
from tests.scripted.wire import encoded

TIMEOUT_SECONDS = 30.0
INSPECT = f"/containers/{identity(1)}/json"
IMAGE_ID = "sha256:" + "a" * 64
INSPECTED = {**container(1), "Image": IMAGE_ID, "Config": {"Image": IMAGE_ID, "Labels": {"a": "b"}}}
IMAGE = {"Id": IMAGE_ID, "RepoTags": ["job:1"], "RepoDigests": [f"job@{IMAGE_ID}"]}
INFO = {
    "Name": "a",
    "ServerVersion": "29.1.0",
    "MemTotal": 1,
    "SystemTime": "2026-11-23T21:23:43Z",
    "ID": "b",
}
EVENT = event("die", 2, exitCode="9", signal="9")


def opened(engine: DockerEngine) -> list[object]:
    """Open the stream of events, and close it."""
    engine.events().close()
    return []


REQUESTS: Mapping[str, tuple[object, Callable[[DockerEngine], object]]] = {
    "/version": ({"ApiVersion": "1.41", "Components": [{}]}, opened),
    "/info": (INFO, DockerEngine.info),
    "/containers/json": ([{"Id": identity(1)}, {"Id": identity(2)}], DockerEngine.container_ids),
    INSPECT: (INSPECTED, lambda engine: engine.inspect(identity(1))),
    f"/images/{IMAGE_ID}/json": (IMAGE, lambda engine: engine.inspect(identity(1))),
    "/events": (EVENT, lambda engine: engine.buffered_events(1, 2)),
    "/events?": (EVENT, lambda engine: engine.event_buffer_complete(2)),
    "/events?filters": (EVENT, opened),
}
"""For each path, a good answer, and a call that asks for it."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedEngine]:
    """Running engine with a container whose image has to be looked up."""
    with on_other_host(ScriptedEngine(tmp_path_factory.mktemp("mutated"))) as running:
        running.set_container(INSPECTED)
        running.set_image(IMAGE_ID, "job:1")
        yield running


ANSWERS = st.sampled_from(sorted(REQUESTS)).flatmap(
    lambda path: st.tuples(
        st.just(path), mutated_json(REQUESTS[path][0]) | st.binary(max_size=9) | st.just(b"")
    )
)


@given(ANSWERS, st.sampled_from([HTTPStatus.OK, HTTPStatus.OK, HTTPStatus.INTERNAL_SERVER_ERROR]))
@example(("/version", b'{"ApiVersion":"a"}'), HTTPStatus.OK)
@example(("/version", b'{"ApiVersion":1.41}'), HTTPStatus.OK)
@example((INSPECT, b"[" * 20_000), HTTPStatus.INTERNAL_SERVER_ERROR)
@example(("/events?filters", b""), HTTPStatus.OK)
def test_an_answer_is_a_value_or_an_engine_error(
    engine: ScriptedEngine, answered: tuple[str, bytes], status: HTTPStatus
) -> None:
    path, body = answered
    engine.fail_next(path.partition("?")[0], status, body=body)
    asking = DockerEngine(EngineAddress(engine.url))
    # Where an answer is nested as deep as Python goes, what a collection finalizes would have no room left.
    gc.disable()
    try:
        REQUESTS[path][1](asking)
    except EngineError as error:
        assert str(error) == printable(str(error))  # noqa: PT017  # both are good, any other error is not
    finally:
        gc.enable()
        asking.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedEngine]:
    """Running engine of the daemon."""
    with on_other_host(ScriptedEngine(tmp_path_factory.mktemp("watched"))) as running:
        yield running


@pytest.fixture(scope="module")
def exporter(watched: ScriptedEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExporterProcess]:
    """Running daemon, which keeps containers of any time."""
    keep = ("--storage.retention", "0", "--exits.oom-wait", "0")
    with ExporterProcess(watched.url, tmp_path_factory.mktemp("daemon"), arguments=keep) as ready:
        yield ready


NUMBERS = itertools.count(1000)
STARTED = event("start", 1, 1, **{IS_TASK: "true", TASK_ID: "a"})
ODD_ID = {**STARTED, "Actor": {**STARTED["Actor"], "ID": "é b"}}
LIFE = (
    event("create", 0),
    network_event("connect", 0.5),
    STARTED,
    event("oom", 1.5),
    event("kill", 1.6, signal="15"),
    EVENT,
    event("destroy", 3),
)
LINES = st.sampled_from(LIFE).flatmap(mutated_json)


@given(st.lists(LINES, min_size=5, max_size=20), mutated_json(exited(1, 2, 9)))
@settings(max_examples=50)
@example([encoded(ODD_ID)], b"{}")
def test_a_daemon_counts_on(
    watched: ScriptedEngine, exporter: ExporterProcess, lines: list[bytes], inspection: bytes
) -> None:
    number = next(NUMBERS)
    watched.fail_next(INSPECT, HTTPStatus.OK, body=inspection)
    for line in (*lines, *map(encoded, LIFE)):
        watched.emit(line)
    watched.set_container(exited(1, 2, 9, number))
    for each in (event("start", 1, number), event("die", 2, number, exitCode="9")):
        watched.emit(each)
    assert wait_until(lambda: code_of(exporter, number) == 9, TIMEOUT_SECONDS), exporter.process.log_tail()
    assert "level=error" not in exporter.log_path.read_text()
    assert "level=critical" not in exporter.log_path.read_text()


def code_of(exporter: ExporterProcess, number: int) -> Any:
    """Return the exit code of a job, None if it is not on record or has not ended."""
    answer = exporter.get(f"/api/v1/jobs/{identity(number)}")
    return answer.json()["container_exit_code"] if answer.ok else None
