"""What a watch says of an engine that does as engines do, and of one that fails."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from exporter.model import Cursor
from exporter.sources.docker.api.adapter import DockerEngine
from exporter.sources.docker.api.parse import event as parsed
from exporter.sources.docker.api.parse import inspection
from exporter.sources.docker.engine import ContainerList, EngineInfo, Event, EventType, KernelReport
from exporter.sources.docker.kernel.reader import KernelReader
from exporter.sources.docker.messages import (
    CaughtUp,
    Connected,
    Disconnected,
    EventReceived,
    Inspected,
    StartFailed,
)
from exporter.sources.docker.watch import watcher
from exporter.sources.docker.watch.watcher import WatchTimeouts
from tests.contract.engines import (
    LONG_AGO,
    Table,
    container,
    event,
    exited,
    identity,
    moment,
    network_event,
    running,
)
from tests.contract.watching import PATIENCE_SECONDS, Watching
from tests.lab.wait import wait_until
from tests.scripted.engine import HANG_UP, ScriptedEngine
from tests.scripted.times import format_rfc3339
from tests.scripted.wire import VERSION_PREFIX, encoded

# The docker SDK leaves a socket that finds nobody to connect to for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ASKED_AT = "2026-11-23T21:00:00.5Z"
ASKED_NS = 1_795_467_600_500_000_000
CONNECTED = Connected(
    EngineInfo("scripted-host", "20.10.24+dfsg1", "of another host", 25_276_502_016, ASKED_NS, "ABCD:EFGH"),
    has_kernel_counter=False,
    cursor=Cursor(0, ASKED_NS, ASKED_NS),
)
LISTED = ContainerList((), ASKED_NS, events_complete=True)
FIRST = (CONNECTED, LISTED)
ENDED = Disconnected("the event stream ended")


@pytest.fixture(autouse=True)
def _times(engine: ScriptedEngine) -> None:
    engine.info["SystemTime"] = ASKED_AT
    engine.info["ID"] = "ABCD:EFGH"


@pytest.fixture
def watching(engine: ScriptedEngine) -> Iterator[Watching]:
    """A watch that has connected and listed."""
    with Watching(engine) as begun:
        assert begun.hears(2) == list(FIRST)
        yield begun


def seen(told: Table, *, inspecting: bool = False) -> EventReceived:
    """What the watch says of an event."""
    return EventReceived(parsed(encoded(told)), inspecting)


def inspected(answer: Table, number: int = 1) -> Inspected:
    """What the watch says of an answer."""
    return Inspected(identity(number), inspection(answer))


def paths(engine: ScriptedEngine) -> list[str]:
    """What was asked of the engine, without the API's version and without queries."""
    return [VERSION_PREFIX.sub("", urlsplit(target).path, count=1) for _, target in engine.requests]


def inspections(engine: ScriptedEngine) -> list[str]:
    """Which containers were inspected."""
    return [path.split("/")[2] for path in paths(engine) if path.count("/") == 3]


# --- connecting


@pytest.mark.usefixtures("watching")
def test_the_stream_is_opened_before_the_list_is_made(engine: ScriptedEngine) -> None:
    # The stream, what the engine remembers by then, the list, and what it remembers after it.
    asked = ["/version", "/info", "/events", "/events", "/containers/json", "/events", "/events"]
    assert paths(engine) == asked


@pytest.mark.usefixtures("watching")
def test_the_stream_is_asked_for_what_concerns_exits_only(engine: ScriptedEngine) -> None:
    query = next(urlsplit(target).query for _, target in engine.requests if "/events" in target)
    asked = {key: json.loads(value) for key, (value,) in parse_qs(query).items()}
    assert asked == {
        "filters": {
            "type": ["container", "network"],
            "event": [
                *("create", "start", "oom", "kill", "die", "died", "stop", "update"),
                *("health_status: healthy", "health_status: unhealthy", "rename", "destroy", "remove"),
                *("connect", "disconnect"),
            ],
        }
    }


@pytest.mark.usefixtures("watching")
def test_the_list_is_of_all_containers(engine: ScriptedEngine) -> None:
    (query,) = (urlsplit(target).query for _, target in engine.requests if "/containers/json" in target)
    assert parse_qs(query) == {"all": ["1"]}


def test_a_list_has_all_containers_as_they_stand(engine: ScriptedEngine) -> None:
    answers = (running(1, 1), exited(1, 2, 3, 2), container(3))
    for answer in answers:
        engine.set_container(answer)
    with Watching(engine) as watching:
        connected, listed = watching.hears(2)
    assert (connected, isinstance(listed, ContainerList) and {*map(repr, listed.containers)}) == (
        CONNECTED,
        {repr(inspection(answer)) for answer in answers},
    )


def test_a_container_that_vanishes_while_the_list_is_made_is_not_in_it(engine: ScriptedEngine) -> None:
    engine.set_container(running(1))
    engine.delay("/containers/0", math.inf)
    with Watching(engine) as watching:
        engine.wait_for_requests("/containers/0", 1)
        engine.remove_container(identity(1))
        engine.delay("/containers/0", 0)
        assert watching.hears(2) == list(FIRST)


def test_only_gets_are_ever_sent(engine: ScriptedEngine, watching: Watching) -> None:
    engine.set_container(running(1))
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="255"))
    watching.hears(4)
    engine.cut()
    watching.pauses.over()
    watching.hears_until(ContainerList)
    assert {method for method, _ in engine.requests} == {"GET"}


def test_an_engine_on_this_host_has_its_kernel_as_a_witness(engine: ScriptedEngine) -> None:
    this_host(engine)
    with Watching(engine) as watching:
        (connected,) = watching.hears(1)
    assert isinstance(connected, Connected)
    assert (connected.has_kernel_counter, connected.has_kernel_log) == (True, os.access("/dev/kmsg", os.R_OK))


def test_a_kernel_that_cannot_be_asked_is_said(engine: ScriptedEngine, tmp_path: Path) -> None:
    this_host(engine)
    with Watching(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watching:
        (connected,) = watching.hears(1)
    assert isinstance(connected, Connected)
    assert (connected.has_kernel_counter, connected.has_kernel_log) == (False, False)


def test_what_the_kernel_kills_while_the_engine_is_away_is_said(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    this_host(engine)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 5\n")
    with Watching(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watching:
        watching.hears(2)
        engine.cut()
        watching.hears(1)
        vmstat.write_text("oom_kill 7\n")
        (report,) = watching.hears(1)
        assert isinstance(report, KernelReport)
        assert report.oom_kills == 2
        watching.pauses.over()
        watching.hears(2)


def test_the_kernel_is_no_witness_any_more_of_an_engine_that_is_on_another_host(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    this_host(engine)
    (tmp_path / "vmstat").write_text("oom_kill 5\n")
    with Watching(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watching:
        watching.hears(2)
        engine.cut()
        engine.info["KernelVersion"] = "of another host"
        watching.pauses.over()
        _, connected, _ = watching.hears(3)
    assert isinstance(connected, Connected)
    assert not connected.has_kernel_counter


def test_what_the_kernel_killed_is_said_before_the_end_that_it_may_explain(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    this_host(engine)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 5\n")
    with Watching(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watching:
        watching.hears(2)
        vmstat.write_text("oom_kill 7\n")
        die = event("die", 2, exitCode="137")
        engine.emit(die)
        kills, told = watching.hears(2)
    assert (isinstance(kills, KernelReport) and (kills.oom_kills, kills.facts), told) == (
        (2, ()),
        seen(die, inspecting=True),
    )


def this_host(engine: ScriptedEngine) -> None:
    """Let the engine say that it runs on this machine."""
    meminfo = Path("/proc/meminfo").read_text().split()
    engine.info["KernelVersion"] = Path("/proc/sys/kernel/osrelease").read_text().strip()
    engine.info["MemTotal"] = int(meminfo[1]) * 1024


# --- an engine that is not there


def test_an_engine_that_is_not_there_is_awaited(
    absent: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    absent.info["SystemTime"] = ASKED_AT
    absent.info["ID"] = "ABCD:EFGH"
    away = Disconnected("no such socket; is the engine running?")
    with Watching(absent) as watching:
        pauses = [watching.pauses.over() for _ in range(8)]
        assert watching.hears(9) == [away] * 9
        absent.start()
        pauses.append(watching.pauses.over())
        assert (pauses, watching.hears(2)) == (
            [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0],
            list(FIRST),
        )


def test_pauses_are_jittered_between_half_and_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda *bounds: asked.append(bounds))
    pauses = watcher._pauses()
    for _ in range(8):
        next(pauses)
    longest = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert asked == [(seconds / 2, seconds) for seconds in longest]


def test_an_engine_that_is_not_there_is_said_once(absent: ScriptedEngine) -> None:
    with structlog.testing.capture_logs() as said, Watching(absent) as watching:
        for _ in range(4):
            watching.pauses.over()
        watching.hears(5)
    cause = "no such socket; is the engine running?"
    assert [entry for entry in said if entry["log_level"] != "debug"] == [
        {
            "event": "engine not reachable, trying again",
            "engine": absent.url,
            "cause": cause,
            "log_level": "warning",
        }
    ]


def test_each_time_that_an_engine_goes_away_is_said(engine: ScriptedEngine) -> None:
    with structlog.testing.capture_logs() as said, Watching(engine) as watching:
        watching.hears(2)
        for _ in range(2):
            engine.cut()
            watching.pauses.over()
            watching.hears(3)
    assert [entry["event"] for entry in said if entry["log_level"] != "debug"] == [
        "watching",
        *["engine not reachable, trying again", "watching"] * 2,
    ]


# --- a stream that ends


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_stream_that_ends_cleanly_or_is_torn_off_is_a_disconnect_and_opened_anew(
    engine: ScriptedEngine, watching: Watching, *, abruptly: bool
) -> None:
    engine.cut(abruptly=abruptly)
    watching.pauses.over()
    assert watching.hears(3) == [ENDED, *FIRST]


def test_half_an_event_at_the_end_of_a_stream_is_no_event(engine: ScriptedEngine, watching: Watching) -> None:
    engine.cut(last_words=b'{"Type":"container","Action":"di')
    watching.pauses.over()
    assert watching.hears(3) == [ENDED, *FIRST]


def test_what_was_told_before_the_end_of_a_stream_is_said_before_it(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.emit(event("create", 1))
    engine.cut(abruptly=True)
    told, disconnected = watching.hears(2)
    assert (told, type(disconnected)) == (seen(event("create", 1)), Disconnected)


def test_an_engine_that_stops_and_starts_is_found_again(engine: ScriptedEngine, watching: Watching) -> None:
    engine.stop()
    assert isinstance(watching.hears(1)[0], Disconnected)
    watching.pauses.over()
    away = Disconnected("no such socket; is the engine running?")
    assert watching.hears(1) == [away]
    engine.start()
    watching.pauses.over()
    assert watching.hears(2) == list(FIRST)


def test_after_a_connection_the_pauses_are_short_again(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    engine.fail_next("/info", 500, times=2)
    with Watching(engine) as watching:
        pauses = [watching.pauses.over() for _ in range(2)]
        watching.hears_until(ContainerList)
        engine.cut()
        pauses.append(watching.pauses.over())
    assert pauses == [0.5, 1.0, 0.5]


# --- an engine that refuses


@pytest.mark.parametrize("status", [403, 500, 503])
@pytest.mark.parametrize("path", ["/info", "/events", "/containers/json"])
def test_a_refusal_is_a_disconnect_that_names_it(engine: ScriptedEngine, path: str, status: int) -> None:
    engine.fail_next(path, status)
    refused = Disconnected(f"{path}: HTTP {status}: scripted failure")
    with Watching(engine) as watching:
        watching.pauses.over()
        heard = watching.hears_until(ContainerList)
    opened = [CONNECTED] if path == "/containers/json" else []
    assert heard == [*opened, refused, *FIRST]


def test_a_refusal_by_a_proxys_page_is_shown_as_it_is(engine: ScriptedEngine) -> None:
    engine.fail_next("/events", 403, body=b"<h1>Forbidden</h1>\n")
    with Watching(engine) as watching:
        assert watching.hears(1) == [Disconnected("/events: HTTP 403: <h1>Forbidden</h1>")]


def test_a_version_that_cannot_be_asked_for_is_a_disconnect(engine: ScriptedEngine) -> None:
    engine.fail_next("/version", 500)
    with Watching(engine) as watching:
        watching.pauses.over()
        disconnected, *rest = watching.hears(3)
    assert isinstance(disconnected, Disconnected)
    assert (disconnected.cause, rest) == ("scripted failure", list(FIRST))


def test_lists_that_are_refused_again_and_again_are_tried_after_ever_longer_pauses(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    engine.fail_next("/containers/json", 403, times=4)
    with Watching(engine) as watching:
        pauses = [watching.pauses.over() for _ in range(4)]
        watching.hears_until(ContainerList)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("path", ["/version", "/info", "/events", "/containers/json"])
def test_an_engine_that_hangs_up_without_an_answer_is_asked_anew(engine: ScriptedEngine, path: str) -> None:
    engine.fail_next(path, HANG_UP)
    with Watching(engine) as watching:
        watching.pauses.over()
        heard = watching.hears_until(ContainerList)
    assert [each for each in heard if isinstance(each, Disconnected)][1:] == []
    assert heard[-2:] == list(FIRST)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"5", b"null", b'{"SystemTime":5}', b'{"SystemTime":"x"}']
)
def test_nonsense_in_place_of_the_engines_name_is_a_disconnect(engine: ScriptedEngine, body: bytes) -> None:
    engine.fail_next("/info", 200, body=body)
    with Watching(engine) as watching:
        watching.pauses.over()
        disconnected, *rest = watching.hears(3)
    assert isinstance(disconnected, Disconnected)
    assert (disconnected.cause.endswith("is this a Docker Engine?"), rest) == (True, list(FIRST))


@pytest.mark.parametrize("body", [b"<html>", b'{"a":1}', b"5", b"null", b"[5]", b'[{"Names":[]}]'])
def test_nonsense_in_place_of_a_list_is_a_disconnect(engine: ScriptedEngine, body: bytes) -> None:
    engine.fail_next("/containers/json", 200, body=body)
    with Watching(engine) as watching:
        watching.pauses.over()
        connected, disconnected, *rest = watching.hears(4)
    assert isinstance(disconnected, Disconnected)
    assert (connected, disconnected.cause.endswith("is this a Docker Engine?"), rest) == (
        CONNECTED,
        True,
        list(FIRST),
    )


@pytest.mark.parametrize("version", [5, None, [], {}, "", "x", "1.41.x"])
def test_nonsense_in_place_of_a_version_is_a_disconnect(engine: ScriptedEngine, version: Any) -> None:
    engine.fail_next("/version", 200, body={**engine.version, "ApiVersion": version})
    with Watching(engine) as watching:
        watching.pauses.over()
        disconnected, *rest = watching.hears(3)
    assert (type(disconnected), rest) == (Disconnected, list(FIRST))


def test_a_container_that_cannot_be_inspected_does_not_keep_the_others_from_being_listed(
    engine: ScriptedEngine,
) -> None:
    engine.set_container(running(1, 1))
    engine.set_container(running(1, 2))
    engine.fail_next(f"/containers/{identity(1)}/json", 500, times=1000)
    with Watching(engine) as watching:
        connected, listed = watching.hears(2)
    assert isinstance(listed, ContainerList)
    assert (connected, listed.containers) == (CONNECTED, (inspection(running(1, 2)),))


# --- events


def test_every_event_is_said_in_its_order(engine: ScriptedEngine, watching: Watching) -> None:
    told = [event("create", 1), event("rename", 2), event("kill", 3, signal="15"), event("destroy", 4)]
    for each in told:
        engine.emit(each)
    assert watching.hears(4) == [seen(each) for each in told]


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        b"{",
        b"5",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"Type":"container"}',
        b'{"Type":"container","Action":"die"}',
        b'{"Type":"container","Action":[]}',
        b'{"Type":"container","Action":"die","Actor":{"ID":""},"timeNano":5}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"}}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":"x"}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":1e999}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":NaN}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":99999999999999999999}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a"},"timeNano":-99999999999999999999}',
        b'{"Type":"container","Action":"die","Actor":{"ID":"a","Attributes":5},"timeNano":5}',
        b'{"Type":"network","Action":"connect","Actor":5}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_is_malformed_and_the_next_one_is_read(
    engine: ScriptedEngine, watching: Watching, line: bytes
) -> None:
    # As last words, since what is emitted must pass the filters that were asked for.
    engine.cut(last_words=b"\n".join([line, encoded(event("create", 1)), b""]))
    assert watching.hears(3) == [
        EventReceived(Event(EventType.MALFORMED), inspecting=False),
        seen(event("create", 1)),
        ENDED,
    ]


def test_a_line_that_is_too_long_is_a_disconnect(
    engine: ScriptedEngine, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.sources.docker.api.adapter.MAX_LINE_BYTES", 1000)
    engine.cut(last_words=b"x" * 2000)
    watching.pauses.over()
    assert watching.hears(3) == [
        Disconnected("a line of more than 1000 bytes; is this a Docker Engine?"),
        *FIRST,
    ]


def test_a_network_without_a_container_is_none_of_ours(engine: ScriptedEngine, watching: Watching) -> None:
    engine.emit({"Type": "network", "Action": "connect", "Actor": {"ID": "a"}, "timeNano": LONG_AGO})
    assert watching.hears(1) == [EventReceived(Event(EventType.OTHER), inspecting=False)]


# --- bugs


class BugError(Exception):
    """What no code expects."""


def fail(*_: object) -> None:
    """Do what no code expects."""
    raise BugError


@pytest.mark.parametrize("call", ["info", "events", "containers"])
def test_a_bug_while_connecting_is_a_disconnect_and_no_silence(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(DockerEngine, call, fail)
    with Watching(engine) as watching:
        watching.hears_until(Disconnected)
        monkeypatch.undo()
        watching.pauses.over()
        assert watching.hears(2) == list(FIRST)


def test_a_bug_while_reading_is_a_disconnect_and_no_silence(
    engine: ScriptedEngine, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.sources.docker.api.parse.event", fail)
    engine.emit(event("create", 1))
    assert [type(each) for each in watching.hears(1)] == [Disconnected]


def test_a_bug_while_asking_gives_no_answer(
    engine: ScriptedEngine, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DockerEngine, "inspect", fail)
    engine.emit(event("start", 1))
    assert watching.sorted_answers(2)[1] == Inspected(identity(1), None)


# --- asking


def test_a_start_is_asked_about_once_while_it_is_tried_and_its_end_for_the_engines_own_time(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.set_container(running(1))
    engine.emit(network_event("connect", 0.9))
    assert watching.sorted_answers(2) == [
        seen(network_event("connect", 0.9), inspecting=True),
        inspected(running(1)),
    ]
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="3"))
    told = [seen(event("start", 1)), seen(event("die", 2, exitCode="3"), inspecting=True)]
    assert (watching.sorted_answers(3), inspections(engine)) == (
        [*told, inspected(running(1))],
        [identity(1)] * 2,
    )


def test_a_start_without_a_network_is_asked_about_at_once(engine: ScriptedEngine, watching: Watching) -> None:
    engine.set_container(running(1))
    engine.emit(event("start", 1))
    assert watching.sorted_answers(2) == [seen(event("start", 1), inspecting=True), inspected(running(1))]


def test_each_start_of_a_container_is_asked_about(engine: ScriptedEngine, watching: Watching) -> None:
    engine.set_container(running(1))
    for began in (1, 3):
        engine.emit(network_event("connect", began))
        engine.emit(event("start", began))
        engine.emit(event("die", began + 1, exitCode="1"))
    watching.sorted_answers(10)
    assert inspections(engine) == [identity(1)] * 4


def test_a_failed_start_is_asked_about_while_it_is_tried_and_when_it_is_over(
    engine: ScriptedEngine, watching: Watching
) -> None:
    failed = container(1, ExitCode=127, Error="no such file")
    engine.set_container(failed)
    engine.emit(network_event("connect", 0.9))
    engine.emit(network_event("disconnect", 1))
    assert (watching.sorted_answers(4), inspections(engine)) == (
        [
            seen(network_event("connect", 0.9), inspecting=True),
            seen(network_event("disconnect", 1), inspecting=True),
            inspected(failed),
            inspected(failed),
        ],
        [identity(1)] * 2,
    )


def test_a_container_that_leaves_its_network_after_it_ran_is_not_asked_about(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.set_container(running(1))
    told = [network_event("connect", 0.9), event("start", 1), event("die", 2, exitCode="1")]
    for each in told:
        engine.emit(each)
    engine.emit(network_event("disconnect", 2.1))
    watching.sorted_answers(6)
    # While it was started, and at its end.
    assert inspections(engine) == [identity(1)] * 2


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(event("die", 2, exitCode="255"), id="255"),
        pytest.param(event("die", 2), id="no code"),
        pytest.param(event("die", 2, exitCode="x"), id="a code that is none"),
    ],
)
def test_an_end_whose_code_is_doubtful_is_asked_about(
    engine: ScriptedEngine, watching: Watching, told: Table
) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("start", 1))
    engine.emit(told)
    assert watching.sorted_answers(4)[1:] == [seen(told, inspecting=True), *[inspected(exited(1, 2, 4))] * 2]


def test_an_end_whose_code_a_label_hides_is_asked_about(engine: ScriptedEngine, watching: Watching) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("start", 1, exitCode="0"))
    engine.emit(event("die", 2, exitCode="0"))
    assert watching.sorted_answers(4)[1] == seen(event("die", 2, exitCode="0"), inspecting=True)


def test_an_end_whose_start_was_not_seen_is_asked_about(engine: ScriptedEngine, watching: Watching) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("die", 2, exitCode="4"))
    assert watching.sorted_answers(2) == [
        seen(event("die", 2, exitCode="4"), inspecting=True),
        inspected(exited(1, 2, 4)),
    ]


def test_a_container_that_is_gone_has_no_answer(engine: ScriptedEngine, watching: Watching) -> None:
    engine.emit(event("start", 1))
    assert watching.sorted_answers(2)[1] == Inspected(identity(1), None)


@pytest.mark.parametrize("status", [403, 500, HANG_UP])
def test_an_engine_that_refuses_to_answer_gives_no_answer(
    engine: ScriptedEngine, watching: Watching, status: int
) -> None:
    engine.set_container(running(1))
    engine.fail_next("/containers/", status)
    engine.emit(event("start", 1))
    assert watching.sorted_answers(2)[1] == Inspected(identity(1), None)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"<html>",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b"[" * 100_000,
        {**running(1), "State": 5},
        {**running(1), "State": {}},
        {**running(1), "Config": 5},
        {**running(1), "Config": {"Labels": 5}},
        {**running(1), "HostConfig": 5},
        {**running(1), "HostConfig": {"Memory": "x"}},
        {**running(1), "HostConfig": {"Memory": 10**30}},
        {**running(1), "RestartCount": 10**30},
        {**running(1), "Created": 5},
        {**running(1), "Created": "9999-12-31T23:59:59Z"},
        container(1, StartedAt=5),
        container(1, StartedAt="yesterday"),
        container(1, StartedAt="2024-01-01T00:00:00Z", FinishedAt="9999-12-31T23:59:59Z"),
    ],
)
def test_nonsense_in_place_of_an_answer_is_no_answer(
    engine: ScriptedEngine, watching: Watching, nonsense: Table | bytes
) -> None:
    engine.set_container(running(1))
    engine.fail_next("/containers/", 200, body=nonsense)
    engine.emit(event("start", 1))
    assert watching.sorted_answers(2)[1] == Inspected(identity(1), None)


def test_answers_that_are_late_delay_neither_reading_nor_each_other(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.delay(f"/containers/{identity(1)}", math.inf)
    for number in (1, 2):
        engine.set_container(running(1, number))
        engine.emit(event("start", 1, number))
    engine.emit(event("create", 2, 3))
    assert watching.sorted_answers(4) == [
        seen(event("start", 1, 1), inspecting=True),
        seen(event("start", 1, 2), inspecting=True),
        seen(event("create", 2, 3)),
        inspected(running(1, 2), 2),
    ]
    engine.delay(f"/containers/{identity(1)}", 0)
    assert watching.hears(1) == [inspected(running(1, 1), 1)]


def test_what_only_adorns_is_no_longer_asked_for_when_too_many_answers_are_outstanding(
    engine: ScriptedEngine, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.sources.docker.watch.inspections.MAX_BACKLOG", 2)
    engine.delay("/containers/", math.inf)
    for number in range(watcher.WORKERS):
        engine.emit(event("start", 1, number))
    engine.wait_for_requests("/containers/", 1 + watcher.WORKERS)
    watching.hears(watcher.WORKERS)
    told = [event("start", 2, watcher.WORKERS + number) for number in range(3)]
    for each in told:
        engine.emit(each)
    doubtful = event("die", 3, 99, exitCode="255")
    engine.emit(doubtful)
    assert watching.hears(4) == [
        seen(told[0], inspecting=True),
        seen(told[1], inspecting=True),
        seen(told[2]),
        seen(doubtful, inspecting=True),
    ]


# --- stopping


def test_a_watch_that_is_stopped_as_soon_as_it_has_connected_ends_quietly(engine: ScriptedEngine) -> None:
    engine.delay("/events", math.inf)
    with Watching(engine) as watching:
        engine.wait_for_requests("/events", 1)
        watching.closes_workers()
        engine.delay("/events", 0)
        assert watching.hears(1) == [CONNECTED]
        watching.watch.stop()
        assert watching.ends()


def test_a_watch_that_reads_stops_at_once(watching: Watching) -> None:
    watching.watch.stop()
    assert (watching.ends(), watching.says_no_more()) == (True, True)


def test_a_watch_that_pauses_stops_at_once(absent: ScriptedEngine) -> None:
    with Watching(absent) as watching:
        watching.hears(1)
        watching.watch.stop()
        assert (watching.ends(), watching.says_no_more()) == (True, True)


def test_a_watch_whose_answers_are_late_stops_at_once(engine: ScriptedEngine, watching: Watching) -> None:
    engine.delay("/containers/", math.inf)
    engine.emit(event("start", 1))
    engine.wait_for_requests("/containers/", 2)
    watching.watch.stop()
    assert watching.ends()


def test_a_watch_that_is_stopped_while_its_stream_is_being_opened_reads_nothing(
    engine: ScriptedEngine,
) -> None:
    engine.delay("/events", math.inf)
    with Watching(engine) as watching:
        engine.wait_for_requests("/events", 1)
        watching.watch.stop()
        engine.delay("/events", 0)
        assert watching.ends()


def test_what_is_seen_while_stopping_still_has_its_answer(engine: ScriptedEngine, watching: Watching) -> None:
    watching.closes_workers()
    engine.emit(event("start", 1))
    assert watching.hears(2) == [seen(event("start", 1), inspecting=True), Inspected(identity(1), None)]


def test_times_are_read_to_the_nanosecond(engine: ScriptedEngine, watching: Watching) -> None:
    exact = moment(2) + 123_456_789
    engine.set_container(container(1, Running=True, StartedAt=format_rfc3339(exact)))
    engine.emit({**event("start", 1), "timeNano": exact})
    told, answer = watching.sorted_answers(2)
    assert isinstance(told, EventReceived)
    assert isinstance(answer, Inspected)
    assert (told.event.at_ns, answer.inspection and answer.inspection.started_ns) == (exact, exact)


# --- starts that fail without an event


AT_ONCE = WatchTimeouts(confirm=0.02, unstarted=0)
PORT_TAKEN = "failed to bind host port 0.0.0.0:80/tcp: address already in use"


def test_a_start_that_fails_without_an_event_is_found_by_asking_and_told_once(engine: ScriptedEngine) -> None:
    failed = container(1, ExitCode=128, Error=PORT_TAKEN)
    engine.set_container(failed)
    with Watching(engine, patience=AT_ONCE) as watching:
        watching.hears_until(ContainerList)
        engine.emit(event("create", 1))
        told = watching.hears_until(StartFailed)[-1]
        more = watching.hears(3)
    assert told == StartFailed(inspection(failed))
    assert {type(each) for each in more} == {CaughtUp}


def test_a_container_that_waits_to_be_started_is_no_failed_start(engine: ScriptedEngine) -> None:
    engine.set_container(container(1))
    with Watching(engine, patience=AT_ONCE) as watching:
        watching.hears_until(ContainerList)
        engine.emit(event("create", 1))
        assert isinstance(watching.hears(1)[0], (EventReceived, CaughtUp))
        assert wait_until(lambda: len(inspections(engine)) > 2, PATIENCE_SECONDS)
        engine.emit(event("start", 2))
        heard = watching.hears_until(Inspected)
    assert not any(isinstance(each, StartFailed) for each in heard)


def test_of_a_failed_start_of_which_an_event_tells_nobody_else_tells(engine: ScriptedEngine) -> None:
    engine.set_container(container(1, ExitCode=127, Error="no such file"))
    with Watching(engine, patience=AT_ONCE) as watching:
        watching.hears_until(ContainerList)
        engine.emit(event("create", 1))
        engine.emit(network_event("disconnect", 2))
        heard = watching.hears_until(Inspected) + watching.hears(3)
    assert not any(isinstance(each, StartFailed) for each in heard)
