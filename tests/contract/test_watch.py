"""Messages of a watcher about an engine that works, and about one that fails."""

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
    EventReceived,
    Inspected,
    RequestsRefused,
    StartFailed,
    StreamOpened,
)
from exporter.sources.docker.watch import watcher as watcher_module
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.watcher import _backoff
from exporter.sources.source import Disconnected
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
from tests.contract.watcher_driver import TIMEOUT_SECONDS, WatcherDriver
from tests.lab.wait import wait_until
from tests.scripted.engine import HANG_UP, ScriptedEngine
from tests.scripted.times import format_rfc3339
from tests.scripted.wire import VERSION_PREFIX, encoded

INSPECT_THREADS = WatchConfig().inspect_threads

# The docker SDK does not close the socket of a failed connect.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ASKED_AT = "2026-11-23T21:00:00.5Z"
ASKED_NS = 1_795_467_600_500_000_000
CONNECTED = StreamOpened(
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
def watcher(engine: ScriptedEngine) -> Iterator[WatcherDriver]:
    """Watcher that has connected and sent its list."""
    with WatcherDriver(engine) as started:
        assert started.receive(2) == list(FIRST)
        yield started


def received_event(sent: Table, *, inspecting: bool = False) -> EventReceived:
    """Return the message about an event."""
    return EventReceived(parsed(encoded(sent)), inspecting)


def inspected(answer: Table, number: int = 1) -> Inspected:
    """Return the message about an inspection."""
    return Inspected(identity(number), inspection(answer))


def paths(engine: ScriptedEngine) -> list[str]:
    """Return the requested paths, without version and query."""
    return [VERSION_PREFIX.sub("", urlsplit(target).path, count=1) for _, target in engine.requests]


def inspections(engine: ScriptedEngine) -> list[str]:
    """Return the ids of the inspected containers."""
    return [path.split("/")[2] for path in paths(engine) if path.count("/") == 3]


# --- connecting


@pytest.mark.usefixtures("watcher")
def test_the_stream_is_opened_before_the_list(engine: ScriptedEngine) -> None:
    # The stream, what the engine remembers by then, the list, and what it remembers after it.
    expected = ["/version", "/info", "/events", "/events", "/containers/json", "/events", "/events"]
    assert paths(engine) == expected


@pytest.mark.usefixtures("watcher")
def test_the_stream_has_only_events_that_concern_exits(engine: ScriptedEngine) -> None:
    query = next(urlsplit(target).query for _, target in engine.requests if "/events" in target)
    query_values = {key: json.loads(value) for key, (value,) in parse_qs(query).items()}
    assert query_values == {
        "filters": {
            "type": ["container", "network"],
            "event": [
                *("create", "start", "oom", "kill", "die", "died", "stop", "update"),
                *("health_status: healthy", "health_status: unhealthy", "rename", "destroy", "remove"),
                *("connect", "disconnect"),
            ],
        }
    }


@pytest.mark.usefixtures("watcher")
def test_containers_of_any_state_are_listed(engine: ScriptedEngine) -> None:
    (query,) = (urlsplit(target).query for _, target in engine.requests if "/containers/json" in target)
    assert parse_qs(query) == {"all": ["1"]}


def test_a_list_has_the_state_of_each_container(engine: ScriptedEngine) -> None:
    answers = (running(1, 1), exited(1, 2, 3, 2), container(3))
    for answer in answers:
        engine.set_container(answer)
    with WatcherDriver(engine) as watcher:
        connected, listed = watcher.receive(2)
    assert (connected, isinstance(listed, ContainerList) and {*map(repr, listed.containers)}) == (
        CONNECTED,
        {repr(inspection(answer)) for answer in answers},
    )


def test_a_container_removed_during_the_list_is_not_in_it(engine: ScriptedEngine) -> None:
    engine.set_container(running(1))
    engine.delay("/containers/0", math.inf)
    with WatcherDriver(engine) as watcher:
        engine.wait_for_requests("/containers/0", 1)
        engine.remove_container(identity(1))
        engine.delay("/containers/0", 0)
        assert watcher.receive(2) == list(FIRST)


def test_only_get_requests_are_sent(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.set_container(running(1))
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="255"))
    watcher.receive(4)
    engine.cut()
    watcher.pauses.end_one()
    watcher.receive_until(ContainerList)
    assert {method for method, _ in engine.requests} == {"GET"}


def test_a_local_engine_has_its_kernel_read(engine: ScriptedEngine) -> None:
    this_host(engine)
    with WatcherDriver(engine) as watcher:
        (connected,) = watcher.receive(1)
    assert isinstance(connected, StreamOpened)
    assert (connected.has_kernel_counter, connected.has_kernel_log) == (True, os.access("/dev/kmsg", os.R_OK))


def test_a_kernel_that_cannot_be_read_is_reported(engine: ScriptedEngine, tmp_path: Path) -> None:
    this_host(engine)
    with WatcherDriver(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watcher:
        (connected,) = watcher.receive(1)
    assert isinstance(connected, StreamOpened)
    assert (connected.has_kernel_counter, connected.has_kernel_log) == (False, False)


def test_kills_while_the_engine_is_away_are_reported(engine: ScriptedEngine, tmp_path: Path) -> None:
    this_host(engine)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 5\n")
    with WatcherDriver(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watcher:
        watcher.receive(2)
        engine.cut()
        watcher.receive(1)
        vmstat.write_text("oom_kill 7\n")
        (report,) = watcher.receive(1)
        assert isinstance(report, KernelReport)
        assert report.oom_kills == 2
        watcher.pauses.end_one()
        watcher.receive(2)


@pytest.mark.parametrize(("cursor", "since_ns"), [(None, None), (Cursor(1, 2, 3), 3)], ids=["new", "known"])
def test_the_log_of_the_kernel_is_read_from_where_the_engine_was_read_to(
    engine: ScriptedEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cursor: Cursor | None,
    since_ns: int | None,
) -> None:
    this_host(engine)
    asked: list[int | None] = []

    def make(*, log_since_ns: int | None) -> KernelReader:
        asked.append(log_since_ns)
        return KernelReader(tmp_path, tmp_path / "kmsg")

    monkeypatch.setattr(watcher_module, "KernelReader", make)
    with WatcherDriver(engine, cursor=cursor) as watcher:
        watcher.receive(1)
    assert asked == [since_ns]


def test_the_kernel_is_not_read_once_the_engine_is_on_another_host(
    engine: ScriptedEngine, tmp_path: Path
) -> None:
    this_host(engine)
    (tmp_path / "vmstat").write_text("oom_kill 5\n")
    with WatcherDriver(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watcher:
        watcher.receive(2)
        engine.cut()
        engine.info["KernelVersion"] = "of another host"
        watcher.pauses.end_one()
        _, connected, _ = watcher.receive(3)
    assert isinstance(connected, StreamOpened)
    assert not connected.has_kernel_counter


def test_a_kernel_report_precedes_the_end_that_it_may_explain(engine: ScriptedEngine, tmp_path: Path) -> None:
    this_host(engine)
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("oom_kill 5\n")
    with WatcherDriver(engine, lambda: KernelReader(tmp_path, tmp_path / "kmsg")) as watcher:
        watcher.receive(2)
        vmstat.write_text("oom_kill 7\n")
        die = event("die", 2, exitCode="137")
        engine.emit(die)
        kills, sent = watcher.receive(2)
    assert (isinstance(kills, KernelReport) and (kills.oom_kills, kills.facts), sent) == (
        (2, ()),
        received_event(die, inspecting=True),
    )


def this_host(engine: ScriptedEngine) -> None:
    """Let the engine report that it runs on this host."""
    meminfo = Path("/proc/meminfo").read_text().split()
    engine.info["KernelVersion"] = Path("/proc/sys/kernel/osrelease").read_text().strip()
    engine.info["MemTotal"] = int(meminfo[1]) * 1024


# --- an engine that is not there


def test_pauses_grow_while_an_engine_is_away(absent: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    absent.info["SystemTime"] = ASKED_AT
    absent.info["ID"] = "ABCD:EFGH"
    away = Disconnected("no such socket; is the engine running?")
    with WatcherDriver(absent) as watcher:
        pauses = [watcher.pauses.end_one() for _ in range(8)]
        assert watcher.receive(9) == [away] * 9
        absent.start()
        pauses.append(watcher.pauses.end_one())
        assert (pauses, watcher.receive(2)) == (
            [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0],
            list(FIRST),
        )


def test_pauses_are_jittered_between_half_and_full_length(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda *given: bounds.append(given))
    pauses = _backoff()
    for _ in range(8):
        next(pauses)
    longest = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert bounds == [(seconds / 2, seconds) for seconds in longest]


def test_the_same_cause_is_logged_once(absent: ScriptedEngine) -> None:
    with structlog.testing.capture_logs() as logged, WatcherDriver(absent) as watcher:
        for _ in range(4):
            watcher.pauses.end_one()
        watcher.receive(5)
    cause = "no such socket; is the engine running?"
    assert [entry for entry in logged if entry["log_level"] != "debug"] == [
        {
            "event": "engine not reachable, trying again",
            "engine": absent.url,
            "cause": cause,
            "log_level": "warning",
        }
    ]


def test_each_lost_connection_is_logged(engine: ScriptedEngine) -> None:
    with structlog.testing.capture_logs() as logged, WatcherDriver(engine) as watcher:
        watcher.receive(2)
        for _ in range(2):
            engine.cut()
            watcher.pauses.end_one()
            watcher.receive(3)
    assert [entry["event"] for entry in logged if entry["log_level"] != "debug"] == [
        "watching",
        *["engine not reachable, trying again", "watching"] * 2,
    ]


# --- a stream that ends


@pytest.mark.parametrize("abruptly", [False, True])
def test_a_stream_that_ends_is_a_disconnect_and_reopened(
    engine: ScriptedEngine, watcher: WatcherDriver, *, abruptly: bool
) -> None:
    engine.cut(abruptly=abruptly)
    watcher.pauses.end_one()
    assert watcher.receive(3) == [ENDED, *FIRST]


def test_half_an_event_at_the_end_of_a_stream_is_ignored(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.cut(tail=b'{"Type":"container","Action":"di')
    watcher.pauses.end_one()
    assert watcher.receive(3) == [ENDED, *FIRST]


def test_events_before_the_end_of_a_stream_are_sent(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.emit(event("create", 1))
    engine.cut(abruptly=True)
    sent, disconnected = watcher.receive(2)
    assert (sent, type(disconnected)) == (received_event(event("create", 1)), Disconnected)


def test_an_engine_that_restarts_is_watched_again(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.stop()
    assert isinstance(watcher.receive(1)[0], Disconnected)
    watcher.pauses.end_one()
    away = Disconnected("no such socket; is the engine running?")
    assert watcher.receive(1) == [away]
    engine.start()
    watcher.pauses.end_one()
    assert watcher.receive(2) == list(FIRST)


def test_pauses_are_short_again_after_a_connection(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    engine.fail_next("/info", 500, times=2)
    with WatcherDriver(engine) as watcher:
        pauses = [watcher.pauses.end_one() for _ in range(2)]
        watcher.receive_until(ContainerList)
        engine.cut()
        pauses.append(watcher.pauses.end_one())
    assert pauses == [0.5, 1.0, 0.5]


# --- an engine that refuses


@pytest.mark.parametrize("status", [403, 500, 503])
@pytest.mark.parametrize("path", ["/info", "/events", "/containers/json"])
def test_a_refusal_is_a_disconnect_with_its_message(engine: ScriptedEngine, path: str, status: int) -> None:
    engine.fail_next(path, status)
    refused = Disconnected(f"{path}: HTTP {status}: scripted failure")
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        received = watcher.receive_until(ContainerList)
    opened = [CONNECTED] if path == "/containers/json" else []
    assert received == [*opened, refused, *FIRST]


def test_the_page_of_a_proxy_that_refuses_is_shown(engine: ScriptedEngine) -> None:
    engine.fail_next("/events", 403, body=b"<h1>Forbidden</h1>\n")
    with WatcherDriver(engine) as watcher:
        assert watcher.receive(1) == [Disconnected("/events: HTTP 403: <h1>Forbidden</h1>")]


def test_a_refused_version_is_a_disconnect(engine: ScriptedEngine) -> None:
    engine.fail_next("/version", 500)
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        disconnected, *rest = watcher.receive(3)
    assert isinstance(disconnected, Disconnected)
    assert (disconnected.cause, rest) == ("/version: HTTP 500: scripted failure", list(FIRST))


def test_pauses_grow_while_lists_are_refused(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    engine.fail_next("/containers/json", 403, times=4)
    with WatcherDriver(engine) as watcher:
        pauses = [watcher.pauses.end_one() for _ in range(4)]
        watcher.receive_until(ContainerList)
    assert pauses == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("path", ["/version", "/info", "/events", "/containers/json"])
def test_a_request_without_an_answer_is_repeated(engine: ScriptedEngine, path: str) -> None:
    engine.fail_next(path, HANG_UP)
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        received = watcher.receive_until(ContainerList)
    assert [each for each in received if isinstance(each, Disconnected)][1:] == []
    assert received[-2:] == list(FIRST)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("can't start new thread", "no thread can be started; raise the limit on the exporter's tasks "),
        ("a mistake of ours", "internal error of the exporter; see its log"),
    ],
)
@pytest.mark.parametrize("part", ["StreamWatchdog", "list_containers"])
def test_what_python_refuses_at_a_limit_of_threads_is_named(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, part: str, error: str, cause: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(watcher_module, part, fail)
    with WatcherDriver(engine) as watcher:
        disconnected = watcher.receive_until(Disconnected)[-1]
    assert isinstance(disconnected, Disconnected)
    assert disconnected.cause.startswith(cause)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"5", b"null", b'{"SystemTime":5}', b'{"SystemTime":"x"}']
)
def test_an_unusable_info_is_a_disconnect(engine: ScriptedEngine, body: bytes) -> None:
    engine.fail_next("/info", 200, body=body)
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        disconnected, *rest = watcher.receive(3)
    assert isinstance(disconnected, Disconnected)
    assert (disconnected.cause.endswith("is this a Docker Engine?"), rest) == (True, list(FIRST))


@pytest.mark.parametrize("body", [b"<html>", b'{"a":1}', b"5", b"null", b"[5]", b'[{"Names":[]}]'])
def test_an_unusable_list_is_a_disconnect(engine: ScriptedEngine, body: bytes) -> None:
    engine.fail_next("/containers/json", 200, body=body)
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        connected, disconnected, *rest = watcher.receive(4)
    assert isinstance(disconnected, Disconnected)
    assert (connected, disconnected.cause.endswith("is this a Docker Engine?"), rest) == (
        CONNECTED,
        True,
        list(FIRST),
    )


@pytest.mark.parametrize("version", [5, None, [], {}, "", "x", "1.41.x"])
def test_an_unusable_version_is_a_disconnect(engine: ScriptedEngine, version: Any) -> None:
    engine.fail_next("/version", 200, body={**engine.version, "ApiVersion": version})
    with WatcherDriver(engine) as watcher:
        watcher.pauses.end_one()
        disconnected, *rest = watcher.receive(3)
    assert (type(disconnected), rest) == (Disconnected, list(FIRST))


def test_a_failed_inspection_leaves_only_its_container_out_of_the_list(
    engine: ScriptedEngine,
) -> None:
    engine.set_container(running(1, 1))
    engine.set_container(running(1, 2))
    engine.fail_next(f"/containers/{identity(1)}/json", 500, times=1000)
    with WatcherDriver(engine) as watcher:
        connected, listed = watcher.receive(2)
    assert isinstance(listed, ContainerList)
    assert (connected, listed.containers) == (CONNECTED, (inspection(running(1, 2)),))


# --- events


def test_events_are_sent_in_order(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    sent = [event("create", 1), event("rename", 2), event("kill", 3, signal="15"), event("destroy", 4)]
    for each in sent:
        engine.emit(each)
    assert watcher.receive(4) == [received_event(each) for each in sent]


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
def test_an_unreadable_line_is_malformed_and_the_next_is_read(
    engine: ScriptedEngine, watcher: WatcherDriver, line: bytes
) -> None:
    # Not emitted, since an event that is emitted must match the filters of the request.
    engine.cut(tail=b"\n".join([line, encoded(event("create", 1)), b""]))
    assert watcher.receive(3) == [
        EventReceived(Event(EventType.MALFORMED), inspecting=False),
        received_event(event("create", 1)),
        ENDED,
    ]


def test_a_line_that_is_too_long_is_a_disconnect(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, max_line_bytes=1000) as watcher:
        watcher.receive(2)
        engine.cut(tail=b"x" * 2000)
        watcher.pauses.end_one()
        assert watcher.receive(3) == [
            Disconnected("a line of more than 1000 bytes; is this a Docker Engine?"),
            *FIRST,
        ]


def test_a_network_event_without_a_container_is_other(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.emit({"Type": "network", "Action": "connect", "Actor": {"ID": "a"}, "timeNano": LONG_AGO})
    assert watcher.receive(1) == [EventReceived(Event(EventType.OTHER), inspecting=False)]


# --- bugs


class UnexpectedError(Exception):
    """Error that no code expects."""


def fail(*_: object) -> None:
    """Raise an error that no code expects."""
    raise UnexpectedError


@pytest.mark.parametrize("call", ["info", "events", "container_ids"])
def test_an_internal_error_while_connecting_is_a_disconnect(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(DockerEngine, call, fail)
    with WatcherDriver(engine) as watcher:
        watcher.receive_until(Disconnected)
        monkeypatch.undo()
        watcher.pauses.end_one()
        assert watcher.receive(2) == list(FIRST)


def test_an_internal_error_while_reading_is_a_disconnect(
    engine: ScriptedEngine, watcher: WatcherDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.sources.docker.api.parse.event", fail)
    engine.emit(event("create", 1))
    assert [type(each) for each in watcher.receive(1)] == [Disconnected]


def test_an_internal_error_while_inspecting_gives_no_answer(
    engine: ScriptedEngine, watcher: WatcherDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DockerEngine, "inspect", fail)
    engine.emit(event("start", 1))
    assert watcher.receive_sorted(2)[1] == Inspected(identity(1), None)


# --- asking


def test_a_start_attempt_and_its_end_are_inspected_once_each(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.set_container(running(1))
    engine.emit(network_event("connect", 0.9))
    assert watcher.receive_sorted(2) == [
        received_event(network_event("connect", 0.9), inspecting=True),
        inspected(running(1)),
    ]
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="3"))
    sent = [received_event(event("start", 1)), received_event(event("die", 2, exitCode="3"), inspecting=True)]
    assert (watcher.receive_sorted(3), inspections(engine)) == (
        [*sent, inspected(running(1))],
        [identity(1)] * 2,
    )


def test_a_start_without_a_network_is_inspected(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.set_container(running(1))
    engine.emit(event("start", 1))
    assert watcher.receive_sorted(2) == [
        received_event(event("start", 1), inspecting=True),
        inspected(running(1)),
    ]


def test_each_start_of_a_container_is_inspected(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.set_container(running(1))
    for began in (1, 3):
        engine.emit(network_event("connect", began))
        watcher.receive(2)
        engine.emit(event("start", began))
        engine.emit(event("die", began + 1, exitCode="1"))
        watcher.receive(3)
    assert inspections(engine) == [identity(1)] * 4


def test_a_failed_start_is_inspected_at_its_attempt_and_at_its_end(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    failed = container(1, ExitCode=127, Error="no such file")
    engine.set_container(failed)
    received: list[object] = []
    for sent in (network_event("connect", 0.9), network_event("disconnect", 1)):
        engine.emit(sent)
        received += watcher.receive(2)
    assert (received, inspections(engine)) == (
        [
            received_event(network_event("connect", 0.9), inspecting=True),
            inspected(failed),
            received_event(network_event("disconnect", 1), inspecting=True),
            inspected(failed),
        ],
        [identity(1)] * 2,
    )


def test_leaving_a_network_after_a_run_causes_no_inspection(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.set_container(running(1))
    sent = [network_event("connect", 0.9), event("start", 1), event("die", 2, exitCode="1")]
    engine.emit(sent[0])
    watcher.receive(2)
    for each in (*sent[1:], network_event("disconnect", 2.1)):
        engine.emit(each)
    watcher.receive_sorted(4)
    # While it was started, and at its end.
    assert inspections(engine) == [identity(1)] * 2


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(event("die", 2, exitCode="255"), id="255"),
        pytest.param(event("die", 2), id="no code"),
        pytest.param(event("die", 2, exitCode="x"), id="a code that is none"),
    ],
)
def test_an_end_with_a_doubtful_code_is_inspected(
    engine: ScriptedEngine, watcher: WatcherDriver, sent: Table
) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("start", 1))
    engine.emit(sent)
    assert watcher.receive_sorted(4)[1:] == [
        received_event(sent, inspecting=True),
        *[inspected(exited(1, 2, 4))] * 2,
    ]


def test_an_end_whose_code_a_label_masks_is_inspected(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("start", 1, exitCode="0"))
    engine.emit(event("die", 2, exitCode="0"))
    assert watcher.receive_sorted(4)[1] == received_event(event("die", 2, exitCode="0"), inspecting=True)


def test_an_end_without_a_start_is_inspected(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.set_container(exited(1, 2, 4))
    engine.emit(event("die", 2, exitCode="4"))
    assert watcher.receive_sorted(2) == [
        received_event(event("die", 2, exitCode="4"), inspecting=True),
        inspected(exited(1, 2, 4)),
    ]


def test_a_removed_container_has_no_inspection(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.emit(event("start", 1))
    assert watcher.receive_sorted(2)[1] == Inspected(identity(1), None)


def test_what_is_missing_for_refused_inspections_is_said_until_one_is_allowed(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.set_container(running(1))
    engine.fail_next("/containers/", 403, times=2)
    said: list[object] = []
    for _ in range(3):
        engine.emit(event("update", 1))
        said += [each for each in watcher.receive_until(Inspected) if isinstance(each, RequestsRefused)]
    missing = (
        "/containers/{id}/json is refused (HTTP 403): no memory limits, exact times and reasons of failed "
        "starts, and no exits that no event has reported"
    )
    assert said == [RequestsRefused((missing,)), RequestsRefused(())]


@pytest.mark.parametrize("status", [500, HANG_UP])
def test_a_failed_inspection_gives_no_answer(
    engine: ScriptedEngine, watcher: WatcherDriver, status: int
) -> None:
    engine.set_container(running(1))
    engine.fail_next("/containers/", status)
    engine.emit(event("start", 1))
    assert watcher.receive_until(Inspected)[-1] == Inspected(identity(1), None)


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
def test_an_unusable_inspection_gives_no_answer(
    engine: ScriptedEngine, watcher: WatcherDriver, nonsense: Table | bytes
) -> None:
    engine.set_container(running(1))
    engine.fail_next("/containers/", 200, body=nonsense)
    engine.emit(event("start", 1))
    assert watcher.receive_sorted(2)[1] == Inspected(identity(1), None)


def test_late_inspections_delay_neither_events_nor_each_other(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.delay(f"/containers/{identity(1)}", math.inf)
    for number in (1, 2):
        engine.set_container(running(1, number))
        engine.emit(event("start", 1, number))
    engine.emit(event("create", 2, 3))
    assert watcher.receive_sorted(4) == [
        received_event(event("start", 1, 1), inspecting=True),
        received_event(event("start", 1, 2), inspecting=True),
        received_event(event("create", 2, 3)),
        inspected(running(1, 2), 2),
    ]
    engine.delay(f"/containers/{identity(1)}", 0)
    assert watcher.receive(1) == [inspected(running(1, 1), 1)]


def test_one_request_answers_all_events_that_were_read_before_it_begins(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    occupy_threads(engine, watcher)
    engine.set_container(exited(1, 2, 4, 99))
    sent = [network_event("connect", 0.9, 99), event("start", 1, 99), event("die", 2, 99, exitCode="4")]
    for each in sent:
        engine.emit(each)
    events = [received_event(sent[0], inspecting=True), received_event(sent[1])]
    assert watcher.receive(3) == [*events, received_event(sent[2], inspecting=True)]
    engine.delay("/containers/", 0)
    answers = [
        (answer, answer.event_ns)
        for answer in watcher.receive(INSPECT_THREADS + 2)
        if isinstance(answer, Inspected) and answer.container_id == identity(99)
    ]
    assert answers == [(inspected(exited(1, 2, 4, 99), 99), moment(at)) for at in (0.9, 2)]
    assert inspections(engine).count(identity(99)) == 1


def test_only_necessary_inspections_are_made_with_a_long_backlog(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, config=WatchConfig(max_backlog=2)) as watcher:
        watcher.receive(2)
        fill_backlog(engine, watcher)


def test_an_end_shares_the_request_that_waits_even_with_a_long_backlog(engine: ScriptedEngine) -> None:
    with WatcherDriver(engine, config=WatchConfig(max_backlog=2)) as watcher:
        watcher.receive(2)
        fill_backlog(engine, watcher)
        end = event("die", 4, INSPECT_THREADS, exitCode="1")
        engine.emit(end)
        assert watcher.receive(1) == [received_event(end, inspecting=True)]


def occupy_threads(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    """Let all threads that inspect wait for an answer."""
    engine.delay("/containers/", math.inf)
    for number in range(INSPECT_THREADS):
        engine.emit(event("start", 1, number))
    engine.wait_for_requests("/containers/", 1 + INSPECT_THREADS)
    watcher.receive(INSPECT_THREADS)


def fill_backlog(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    occupy_threads(engine, watcher)
    sent = [event("start", 2, INSPECT_THREADS + number) for number in range(3)]
    for each in sent:
        engine.emit(each)
    doubtful = event("die", 3, 99, exitCode="255")
    engine.emit(doubtful)
    assert watcher.receive(4) == [
        received_event(sent[0], inspecting=True),
        received_event(sent[1], inspecting=True),
        received_event(sent[2]),
        received_event(doubtful, inspecting=True),
    ]


# --- stopping


def test_a_watcher_stopped_after_connecting_ends(engine: ScriptedEngine) -> None:
    engine.delay("/events", math.inf)
    with WatcherDriver(engine) as watcher:
        engine.wait_for_requests("/events", 1)
        watcher.stop_workers()
        engine.delay("/events", 0)
        assert watcher.receive(1) == [CONNECTED]
        watcher.watcher.stop()
        assert watcher.has_ended()


def test_a_watcher_that_reads_stops_at_once(watcher: WatcherDriver) -> None:
    watcher.watcher.stop()
    assert (watcher.has_ended(), watcher.has_no_message()) == (True, True)


def test_a_watcher_that_pauses_stops_at_once(absent: ScriptedEngine) -> None:
    with WatcherDriver(absent) as watcher:
        watcher.receive(1)
        watcher.watcher.stop()
        assert (watcher.has_ended(), watcher.has_no_message()) == (True, True)


def test_a_watcher_with_late_inspections_stops_at_once(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.delay("/containers/", math.inf)
    engine.emit(event("start", 1))
    engine.wait_for_requests("/containers/", 2)
    watcher.watcher.stop()
    assert watcher.has_ended()


def test_a_watcher_stopped_while_connecting_reads_nothing(
    engine: ScriptedEngine,
) -> None:
    engine.delay("/events", math.inf)
    with WatcherDriver(engine) as watcher:
        engine.wait_for_requests("/events", 1)
        watcher.watcher.stop()
        engine.delay("/events", 0)
        assert watcher.has_ended()


def test_an_event_during_the_stop_still_gets_its_inspected_message(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    watcher.stop_workers()
    engine.emit(event("start", 1))
    assert watcher.receive(2) == [
        received_event(event("start", 1), inspecting=True),
        Inspected(identity(1), None),
    ]


def test_times_are_exact_to_the_nanosecond(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    exact = moment(2) + 123_456_789
    engine.set_container(container(1, Running=True, StartedAt=format_rfc3339(exact)))
    engine.emit({**event("start", 1), "timeNano": exact})
    sent, answer = watcher.receive_sorted(2)
    assert isinstance(sent, EventReceived)
    assert isinstance(answer, Inspected)
    assert (sent.event.at_ns, answer.inspection and answer.inspection.started_ns) == (exact, exact)


# --- starts that fail without an event


AT_ONCE = WatchConfig(check_interval=0.02, start_grace=0)
PORT_TAKEN = "failed to bind host port 0.0.0.0:80/tcp: address already in use"


def test_a_failed_start_without_an_event_is_found_and_sent_once(engine: ScriptedEngine) -> None:
    failed = container(1, ExitCode=128, Error=PORT_TAKEN)
    engine.set_container(failed)
    with WatcherDriver(engine, config=AT_ONCE) as watcher:
        watcher.receive_until(ContainerList)
        engine.emit(event("create", 1))
        sent = watcher.receive_until(StartFailed)[-1]
        more = watcher.receive(3)
    assert sent == StartFailed(inspection(failed))
    assert {type(each) for each in more} == {CaughtUp}


def test_a_created_container_is_no_failed_start(engine: ScriptedEngine) -> None:
    engine.set_container(container(1))
    with WatcherDriver(engine, config=AT_ONCE) as watcher:
        watcher.receive_until(ContainerList)
        engine.emit(event("create", 1))
        assert isinstance(watcher.receive(1)[0], (EventReceived, CaughtUp))
        assert wait_until(lambda: len(inspections(engine)) > 2, TIMEOUT_SECONDS)
        engine.emit(event("start", 2))
        received = watcher.receive_until(Inspected)
    assert not any(isinstance(each, StartFailed) for each in received)


def test_a_failed_start_with_an_event_is_sent_once(engine: ScriptedEngine) -> None:
    engine.set_container(container(1, ExitCode=127, Error="no such file"))
    with WatcherDriver(engine, config=AT_ONCE) as watcher:
        watcher.receive_until(ContainerList)
        engine.emit(event("create", 1))
        engine.emit(network_event("disconnect", 2))
        received = watcher.receive_until(Inspected) + watcher.receive(3)
    assert not any(isinstance(each, StartFailed) for each in received)
