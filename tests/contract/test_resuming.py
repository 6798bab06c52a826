"""Resumption of a watcher: after a lost connection, a stream that hangs, and an overrun event buffer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from exporter.model import Cursor
from exporter.sources.docker.api.parse import event as parsed
from exporter.sources.docker.engine import ContainerList, EventGap
from exporter.sources.docker.messages import CaughtUp, EventReceived, StreamOpened
from exporter.sources.docker.watch.config import WatchConfig
from exporter.sources.docker.watch.watcher import EngineWatcher
from exporter.sources.source import Disconnected, Message
from tests.contract.engines import LONG_AGO, event, identity, moment
from tests.contract.watcher_driver import WatcherDriver
from tests.lab.wait import wait_until
from tests.scripted.engine import HANG_UP, ScriptedEngine
from tests.scripted.times import SECOND, format_rfc3339
from tests.scripted.wire import encoded

# The docker SDK does not close the socket of a failed connect.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

BUFFER_SIZE = 256
NOW = LONG_AGO + 1_000 * SECOND
KNOWN = Cursor(moment(1), LONG_AGO)
NEVER = 1_000.0
SOON = 0.05


@pytest.fixture(autouse=True)
def _clock(engine: ScriptedEngine) -> None:
    """Set the engine's clock to a time after all events."""
    engine.info["SystemTime"] = format_rfc3339(NOW)


@pytest.fixture
def watcher(engine: ScriptedEngine) -> Iterator[WatcherDriver]:
    """Watcher that has sent its list."""
    with WatcherDriver(engine) as watcher:
        watcher.receive_until(ContainerList)
        yield watcher


def seen(watcher: WatcherDriver) -> EventReceived:
    """Return the next message about an event."""
    while True:
        (message,) = watcher.receive(1)
        if isinstance(message, EventReceived):
            return message


def since(engine: ScriptedEngine) -> list[str]:
    """Return the parameter `since` of each stream, empty for new events only."""
    queries = [parse_qs(urlsplit(target).query) for _, target in engine.requests if "/events?" in target]
    return [query.get("since", [""])[0] for query in queries if "until" not in query]


# --- resuming at the cursor


def test_the_first_connection_reads_only_new_events(engine: ScriptedEngine, watcher: WatcherDriver) -> None:
    engine.emit(event("start", 2))
    assert (since(engine), seen(watcher).replayed) == ([""], False)


def test_reading_resumes_a_second_before_the_last_event(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="3"))
    with WatcherDriver(engine, cursor=Cursor(moment(1), LONG_AGO - SECOND)) as watcher:
        sent = [seen(watcher), seen(watcher)]
    assert since(engine) == [f"{LONG_AGO // SECOND}.{0:09d}"]
    assert [(each.event.type, each.replayed) for each in sent] == [("start", True), ("die", True)]


def test_nothing_before_the_first_connection_is_requested(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    with WatcherDriver(engine, cursor=Cursor(moment(1), moment(0.5))) as watcher:
        seen(watcher)
    assert since(engine) == [f"{LONG_AGO // SECOND}.500000000"]


def test_events_during_an_interruption_are_read_afterwards(
    engine: ScriptedEngine, watcher: WatcherDriver
) -> None:
    engine.emit(event("start", 1001))
    seen(watcher)
    engine.cut(abruptly=True)
    watcher.receive_until(Disconnected)
    engine.lose(event("die", 1002, exitCode="3"))
    watcher.pauses.end_one()
    sent = [seen(watcher), seen(watcher)]
    assert [each.event.type for each in sent] == ["start", "die"]


# --- the engine's event buffer


def test_an_engine_with_the_last_event_has_no_gap(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    with WatcherDriver(engine, cursor=KNOWN) as watcher:
        received = watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, (StreamOpened, ContainerList))] == [
        EventGap.NONE
    ] * 2


def test_an_overrun_event_buffer_is_a_gap(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    for number in range(BUFFER_SIZE):
        engine.emit(event("exec_create: true", 2 + number / 1000))
    with WatcherDriver(engine, cursor=KNOWN) as watcher:
        received = watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, (StreamOpened, ContainerList))] == [
        EventGap.OVERRUN
    ] * 2


def test_a_full_buffer_that_begins_after_the_cursor_is_a_gap(engine: ScriptedEngine) -> None:
    for number in range(BUFFER_SIZE):
        engine.emit(event("start", 2 + number / 1000, number))
    with WatcherDriver(engine, cursor=Cursor(0, LONG_AGO, read_until_ns=moment(1))) as watcher:
        received = watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, (StreamOpened, ContainerList))] == [
        EventGap.OVERRUN
    ] * 2


def test_a_full_buffer_that_begins_before_the_cursor_is_no_gap(engine: ScriptedEngine) -> None:
    for number in range(BUFFER_SIZE):
        engine.emit(event("exec_create: true", 2 + number))
    with WatcherDriver(engine, cursor=Cursor(moment(1), LONG_AGO, read_until_ns=moment(2))) as watcher:
        received = watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, (StreamOpened, ContainerList))] == [
        EventGap.NONE
    ] * 2


def test_a_restarted_engine_is_a_gap_of_its_own_kind(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 2))
    with WatcherDriver(engine, cursor=KNOWN) as watcher:
        received = watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, (StreamOpened, ContainerList))] == [
        EventGap.RESTARTED
    ] * 2


AHEAD = NOW + 3_600 * SECOND


@pytest.mark.parametrize(
    "cursor",
    [Cursor(AHEAD, LONG_AGO), Cursor(AHEAD, AHEAD, AHEAD), Cursor(moment(1), LONG_AGO, AHEAD)],
    ids=["event", "all", "read"],
)
def test_a_clock_that_was_ahead_is_a_gap_and_reading_goes_on(engine: ScriptedEngine, cursor: Cursor) -> None:
    engine.fail_next("/containers/json", 500)
    with capture_logs() as logs, WatcherDriver(engine, cursor=cursor) as watcher:
        received = watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        received += watcher.receive_until(ContainerList)
        engine.emit(event("start", 1_000.5))
        assert seen(watcher).event.at_ns == moment(1_000.5)
        engine.cut()
        watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        received += watcher.receive_until(ContainerList)
    assert [each.event_gap for each in received if isinstance(each, ContainerList)] == [
        EventGap.CLOCK_SET_BACK,
        EventGap.NONE,
    ]
    assert [line["seconds"] for line in logs if "clock was set back" in line["event"]] == [3_600]


def test_a_gap_is_sent_with_the_next_list_even_after_reconnects(
    engine: ScriptedEngine,
) -> None:
    engine.fail_next("/containers/json", 500)
    engine.emit(event("start", 2))
    with WatcherDriver(engine, cursor=KNOWN) as watcher:
        watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        assert [
            each.event_gap for each in watcher.receive_until(ContainerList) if isinstance(each, ContainerList)
        ] == [EventGap.RESTARTED]
        engine.cut()
        watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        assert [
            each.event_gap for each in watcher.receive_until(ContainerList) if isinstance(each, ContainerList)
        ] == [EventGap.NONE]


def test_a_connection_tells_if_the_one_before_was_read_to_its_end(
    engine: ScriptedEngine,
) -> None:
    config = WatchConfig(check_interval=NEVER, max_stream_age=SOON)
    with WatcherDriver(engine, config=config) as watcher:
        # The watcher replaces a stream that is too old, and does not read the rest of it.
        for _ in range(2):
            first, *_ = (
                each for each in watcher.receive_until(ContainerList) if isinstance(each, StreamOpened)
            )
            assert not first.read_to_end
    with WatcherDriver(engine) as watcher:
        watcher.receive_until(ContainerList)
        engine.cut()
        watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        (again,) = (each for each in watcher.receive_until(ContainerList) if isinstance(each, StreamOpened))
        assert again.read_to_end


# --- a list comes after the events before it


def test_a_list_is_sent_after_all_events_before_it(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    with WatcherDriver(engine) as watcher:
        watcher.receive_until(StreamOpened)
        engine.wait_for_requests("/containers/json", 1)
        engine.pause()
        engine.emit(event("start", 1_000))
        before = len(engine.requests)
        engine.delay("/containers/json", 0)
        assert wait_until(lambda: len(engine.requests) > before, 10)
        assert watcher.has_no_message()
        engine.resume()
        received = watcher.receive_until(ContainerList)
    assert [type(each) for each in received if isinstance(each, (EventReceived, ContainerList))] == [
        EventReceived,
        ContainerList,
    ]
    (listed,) = (each for each in received if isinstance(each, ContainerList))
    assert listed.seen_ids == {identity(1)}


def test_a_list_is_sent_after_replayed_events(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit in the list would be counted, and counted again when its events come."""
    engine.emit(event("die", 500, exitCode="3"))
    engine.delay("/containers/json", math.inf)
    may_read, dispatch = Event(), EngineWatcher._dispatch

    def dispatch_later(watcher: EngineWatcher, *arguments: Any) -> None:
        may_read.wait(10)
        dispatch(watcher, *arguments)

    monkeypatch.setattr(EngineWatcher, "_dispatch", dispatch_later)
    with WatcherDriver(engine, cursor=KNOWN) as watcher:
        watcher.receive_until(StreamOpened)
        engine.wait_for_requests("/containers/json", 1)
        before = len(engine.requests)
        engine.delay("/containers/json", 0)
        assert wait_until(lambda: len(engine.requests) > before, 10)
        assert watcher.has_no_message()
        may_read.set()
        received = watcher.receive_until(ContainerList)
    assert [type(each) for each in received if isinstance(each, (EventReceived, ContainerList))] == [
        EventReceived,
        ContainerList,
    ]


def test_a_stream_that_lacks_buffered_events_is_replaced(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    config = WatchConfig(catch_up=SOON)
    with WatcherDriver(engine, config=config) as watcher:
        watcher.receive_until(StreamOpened)
        engine.wait_for_requests("/containers/json", 1)
        engine.lose(event("die", 1_000, exitCode="3"))
        engine.delay("/containers/json", 0)
        disconnected = watcher.receive_until(Disconnected)[-1]
        assert disconnected == Disconnected("the stream lacks events that the engine still has")
        watcher.pauses.end_one()
        assert seen(watcher).event == parsed(encoded(event("die", 1_000, exitCode="3")))
        watcher.receive_until(ContainerList)


# --- streams that hang


def test_a_dead_link_is_detected_by_a_check(engine: ScriptedEngine) -> None:
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON)) as watcher:
        watcher.receive_until(ContainerList)
        engine.fail_next("/events", HANG_UP)
        assert isinstance(watcher.receive_until(Disconnected)[-1], Disconnected)
        watcher.pauses.end_one()
        watcher.receive_until(ContainerList)


def test_a_lossy_stream_is_detected_and_its_events_are_read_again(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON, catch_up=SOON)) as watcher:
        watcher.receive_until(ContainerList)
        engine.lose(event("start", 1_000))
        assert watcher.receive_until(Disconnected)[-1] == Disconnected(
            "the stream lacks events that the engine still has"
        )
        watcher.pauses.end_one()
        assert seen(watcher).event == parsed(encoded(event("start", 1_000)))


def test_a_silent_stream_of_an_engine_that_answers_is_kept(engine: ScriptedEngine) -> None:
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON)) as watcher:
        watcher.receive_until(ContainerList)
        received = watcher.receive(3)
    assert ({type(each) for each in received}, len(since(engine))) == ({CaughtUp}, 1)


def test_events_dropped_in_the_middle_are_read_again(engine: ScriptedEngine) -> None:
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON, catch_up=SOON)) as watcher:
        watcher.receive_until(ContainerList)
        for _ in range(2):
            watcher.receive_until(CaughtUp)
        engine.lose(event("start", 1_000.001))
        engine.emit(event("die", 1_000.002, 2, exitCode="3"))
        received = watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        received += watcher.receive_until(ContainerList)
    sent = {each.event.at_ns for each in received if isinstance(each, EventReceived)}
    assert sent == {moment(1_000.001), moment(1_000.002)}


def test_events_dropped_during_a_standstill_are_read_again(
    engine: ScriptedEngine,
) -> None:
    # Every tick comes too late.
    with WatcherDriver(
        engine, config=WatchConfig(check_interval=SOON, catch_up=SOON, standstill=0)
    ) as watcher:
        watcher.receive_until(ContainerList)
        engine.lose(event("start", 1_000.001))
        engine.emit(event("die", 1_001, 2, exitCode="3"))
        sent: set[int] = set()
        while len(sent) < 2:
            sent.add(seen(watcher).event.at_ns)
    assert sent == {moment(1_000.001), moment(1_001)}


def test_other_network_events_do_not_delay_a_list(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    with WatcherDriver(engine) as watcher:
        watcher.receive_until(StreamOpened)
        engine.wait_for_requests("/containers/json", 1)
        engine.lose({"Type": "network", "Action": "create", "Actor": {"ID": "0" * 64}, "timeNano": NOW})
        engine.delay("/containers/json", 0)
        assert watcher.receive_until(ContainerList)


def test_a_stream_that_is_too_old_is_replaced_without_loss(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, config=WatchConfig(check_interval=SOON, max_stream_age=4 * SOON)) as watcher:
        watcher.receive_until(ContainerList)
        engine.pause()
        engine.emit(event("start", 1001))
        received = watcher.receive_until(EventReceived)
    assert (received[-1], [each for each in received if isinstance(each, Disconnected)]) == (
        EventReceived(parsed(encoded(event("start", 1001))), inspecting=True),
        [],
    )


def test_the_log_does_not_tell_that_an_old_stream_was_replaced(engine: ScriptedEngine) -> None:
    config = WatchConfig(check_interval=NEVER, max_stream_age=SOON)
    with capture_logs() as logged, WatcherDriver(engine, config=config) as watcher:
        for _ in range(3):
            watcher.receive_until(ContainerList)
        engine.fail_next("/info", 500)
        watcher.receive_until(Disconnected)
        watcher.pauses.end_one()
        watcher.receive_until(ContainerList)
    told = [entry["event"] for entry in logged if entry["log_level"] != "debug"]
    assert told == ["watching", "engine not reachable, trying again", "watching"]


# --- a full inbox


def test_reading_slows_down_and_asks_less_while_the_pipeline_is_behind(engine: ScriptedEngine) -> None:
    with WatcherDriver(engine, config=WatchConfig(max_ahead=2)) as watcher:
        watcher.receive_until(ContainerList)
        engine.emit(event("start", 1001, 1))
        # With the answer to the inspection.
        assert wait_until(lambda: len(watcher.inbox) == 2, 10)
        engine.emit(event("start", 1002, 2))
        assert wait_until(lambda: len(watcher.inbox) == 4, 10)
        assert watcher.pauses.end_one() == 0.01
        engine.emit(event("start", 1003, 3))
        assert watcher.pauses.end_one() == 0.01
        received = [each for each in watcher.receive(5) if isinstance(each, EventReceived)]
        assert [each.inspecting for each in received] == [True, True, False]
        engine.emit(event("start", 1004, 4))
        assert seen(watcher).inspecting
        engine.cut()
        # The next pause is that before the next connection.
        assert watcher.pauses.end_one() > 0.01


def test_reading_pauses_while_the_inbox_is_full(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, config=WatchConfig(max_inbox=20, inbox_share=10)) as watcher:
        watcher.receive_until(ContainerList)
        for number in range(30):
            engine.emit(event("rename", 1001 + number))
        assert wait_until(lambda: len(watcher.inbox) > 20, 10)
        received = watcher.receive_until(Disconnected)
        assert received[-1] == Disconnected(
            "events arrive faster than they are processed; reading resumes later"
        )
        engine.info["SystemTime"] = format_rfc3339(NOW + 60 * SECOND)
        watcher.pauses.end_one()
        sent = {each.event.at_ns for each in received if isinstance(each, EventReceived)}
        while len(sent) < 30:
            sent.add(seen(watcher).event.at_ns)


def test_reading_goes_on_while_the_inbox_is_full_of_the_messages_of_other_engines(
    engine: ScriptedEngine,
) -> None:
    with WatcherDriver(engine, config=WatchConfig(max_inbox=20, inbox_share=10)) as watcher:
        watcher.receive_until(ContainerList)
        # Twice: what has been taken does not count.
        for first in (1001, 1011):
            for _ in range(21):
                watcher.inbox.put(Message("tcp://other", CaughtUp(NOW)))
            for number in range(10):
                engine.emit(event("rename", first + number))
            assert wait_until(lambda: watcher.inbox.waiting(watcher.watcher.address) == 10, 10)
            assert [type(each) for each in watcher.receive(31)] == [CaughtUp] * 21 + [EventReceived] * 10
