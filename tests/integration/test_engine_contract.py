"""Contract of the Docker Engine API, checked on real engines and on the scripted one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from docker import APIClient

from tests.lab.images import BUSYBOX
from tests.lab.kinds import AT_HAND, DEBIANS, NEWEST
from tests.scripted.answers import REQUESTS, ask, recorded_answers
from tests.scripted.engine import ScriptedEngine
from tests.scripted.reading import get, lines, past_events
from tests.scripted.times import SECOND, format_rfc3339, format_seconds

APIS = {DEBIANS: "1.41", NEWEST: "1.56"}
BUFFER_SIZE = 256


class Lab(Protocol):
    """Engine on which something happens."""

    client: APIClient

    def create_container(self) -> str:
        """Create a container and return its id."""

    def cause_volume_events(self, count: int) -> None:
        """Cause events that have nothing to do with containers."""


class RealLab:
    """Real engine."""

    def __init__(self, client: APIClient) -> None:
        self.client = client
        self._created: list[str] = []

    def create_container(self) -> str:
        self._created.append(str(self.client.create_container(BUSYBOX, ["true"])["Id"]))
        return self._created[-1]

    def clean_up(self) -> None:
        for container_id in self._created:
            self.client.remove_container(container_id)

    def cause_volume_events(self, count: int) -> None:
        for _ in range(count // 2):
            self.client.remove_volume(self.client.create_volume()["Name"])


class ScriptedLab:
    """Scripted engine."""

    def __init__(self, client: APIClient, engine: ScriptedEngine) -> None:
        self.client = client
        self._engine = engine

    def create_container(self) -> str:
        container_id = uuid4().hex * 2
        config, created = {"Image": BUSYBOX, "Labels": {}}, format_rfc3339(time.time_ns())
        answer = {"Id": container_id, "Name": "/job", "Created": created, "Image": "sha256:00"}
        self._engine.set_container({**answer, "State": {"Status": "created"}, "Config": config})
        self._emit("container", container_id)
        return container_id

    def cause_volume_events(self, count: int) -> None:
        for number in range(count):
            self._emit("volume", f"volume-{number}")

    def _emit(self, kind: str, actor_id: str) -> None:
        now_ns = time.time_ns()
        times = {"time": now_ns // SECOND, "timeNano": now_ns}
        actor = {"ID": actor_id, "Attributes": {"name": "job"}}
        self._engine.emit({"Type": kind, "Action": "create", "Actor": actor, **times})


@pytest.fixture(params=[*(f"scripted {kind}" for kind in APIS), *AT_HAND])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lab(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    if kind in AT_HAND:
        private = request.getfixturevalue(kind.replace("-", "_").replace(".", "_"))
        with closing(APIClient(private.url, version="auto")) as client:
            real = RealLab(client)
            yield real
            real.clean_up()
        return
    api = APIS[kind.removeprefix("scripted ")]
    with ScriptedEngine(tmp_path, api=api) as engine, closing(APIClient(engine.url, "auto")) as client:
        yield ScriptedLab(client, engine)


@pytest.fixture
def containers(lab: Lab) -> list[str]:
    return [lab.create_container() for _ in range(3)]


def events(lab: Lab, *, since: str = "0", until: str = "", **filters: list[str]) -> list[dict[str, Any]]:
    """Return the buffered events of a time, up to now."""
    until = until or format_seconds(time.time_ns())
    return past_events(lab.client, since=since, until=until, filters=json.dumps(filters))


def test_requests_without_a_container_are_answered_as_recorded(lab: Lab, kind: str) -> None:
    recorded = recorded_answers(APIS[kind.removeprefix("scripted ")])
    assert [ask(lab.client, method, target) for method, target in REQUESTS] == recorded


def test_since_and_until_include_their_own_nanosecond(lab: Lab, containers: list[str]) -> None:
    first, second, third = (each["timeNano"] for each in events(lab, container=containers))
    since, until = format_seconds(first), format_seconds(second)
    found = events(lab, since=since, until=until, container=containers)
    assert [each["Actor"]["ID"] for each in found] == containers[:2]
    assert events(lab, since=format_seconds(third + 1), container=containers) == []


def test_a_stream_begins_with_buffered_events_only_if_asked(lab: Lab, containers: list[str]) -> None:
    (last,) = events(lab, container=containers[2:])
    filters = json.dumps({"type": ["container"], "event": ["create"]})
    with (
        lines(lab.client, filters=filters) as new,
        lines(lab.client, filters=filters, since=format_seconds(last["timeNano"])) as replayed,
    ):
        created = lab.create_container()
        assert json.loads(next(new))["Actor"]["ID"] == created
        assert [json.loads(next(replayed))["Actor"]["ID"] for _ in range(2)] == [containers[2], created]


def test_filters_select_events(lab: Lab, containers: list[str]) -> None:
    lab.cause_volume_events(2)
    found = events(
        lab, type=["container"], event=["create", "die"], container=[containers[0], containers[1][:9]]
    )
    assert [each["Actor"]["ID"] for each in found] == containers[:2]
    assert events(lab, container=containers, event=["die"]) == []


def test_the_buffer_has_the_last_256_events_of_all_types(lab: Lab, containers: list[str]) -> None:
    lab.cause_volume_events(BUFFER_SIZE - 2)
    assert [each["Actor"]["ID"] for each in events(lab, container=containers)] == containers[1:]
    lab.cause_volume_events(2)
    assert events(lab, container=containers) == []
    assert len(events(lab)) == BUFFER_SIZE


def test_containers_are_listed_and_inspected_in_any_state(lab: Lab, containers: list[str]) -> None:
    assert {*containers} <= {row["Id"] for row in lab.client.containers(all=True)}
    assert not {*containers} & {row["Id"] for row in lab.client.containers()}
    for reference in (containers[0], containers[0][:12]):
        assert get(lab.client, f"/containers/{reference}/json").json()["Id"] == containers[0]
