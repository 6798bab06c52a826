"""How a watch goes on where it was: after a cut, beside a stream that hangs, behind the engine's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from exporter.model import Cursor
from exporter.sources.docker.api.parse import event as parsed
from exporter.sources.docker.engine import ContainerList, EventGap
from exporter.sources.docker.messages import CaughtUp, Connected, Disconnected, EventReceived
from exporter.sources.docker.watch.watcher import EngineWatcher, WatchTimeouts
from tests.contract.engines import LONG_AGO, event, identity, moment
from tests.contract.watching import Watching
from tests.lab.wait import wait_until
from tests.scripted.engine import HANG_UP, ScriptedEngine
from tests.scripted.times import SECOND, format_rfc3339
from tests.scripted.wire import encoded

# The docker SDK leaves a socket that finds nobody to connect to for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

RING = 256
NOW = LONG_AGO + 1_000 * SECOND
KNOWN = Cursor(moment(1), LONG_AGO)
NEVER = 1_000.0
SOON = 0.05


@pytest.fixture(autouse=True)
def _clock(engine: ScriptedEngine) -> None:
    """The engine's clock stands long after all that happens here."""
    engine.info["SystemTime"] = format_rfc3339(NOW)


@pytest.fixture
def watching(engine: ScriptedEngine) -> Iterator[Watching]:
    """A watch that has listed the engine once."""
    with Watching(engine) as watching:
        watching.hears_until(ContainerList)
        yield watching


def seen(watching: Watching) -> EventReceived:
    """The next event that it says."""
    while True:
        (said,) = watching.hears(1)
        if isinstance(said, EventReceived):
            return said


def since(engine: ScriptedEngine) -> list[str]:
    """From when on each stream was asked for; empty where it was from then on."""
    asked = [target.partition("?")[2].split("&") for _, target in engine.requests if "/events?" in target]
    streams = [words for words in asked if not any(word.startswith("until=") for word in words)]
    return ["".join(word[6:] for word in words if word.startswith("since=")) for words in streams]


# --- goes on where it was


def test_who_has_never_watched_an_engine_is_told_from_then_on(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.emit(event("start", 2))
    assert (since(engine), seen(watching).replayed) == ([""], False)


def test_who_has_watched_is_told_again_from_a_second_before_the_last_event_on(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    engine.emit(event("die", 2, exitCode="3"))
    with Watching(engine, cursor=Cursor(moment(1), LONG_AGO - SECOND)) as watching:
        told = [seen(watching), seen(watching)]
    assert since(engine) == [f"{LONG_AGO // SECOND}.{0:09d}"]
    assert [(each.event.type, each.replayed) for each in told] == [("start", True), ("die", True)]


def test_nothing_is_asked_for_from_before_the_first_watch_of_an_engine(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    with Watching(engine, cursor=Cursor(moment(1), moment(0.5))) as watching:
        seen(watching)
    assert since(engine) == [f"{LONG_AGO // SECOND}.500000000"]


def test_what_happened_while_a_stream_was_cut_is_told_by_the_next(
    engine: ScriptedEngine, watching: Watching
) -> None:
    engine.emit(event("start", 1001))
    seen(watching)
    engine.cut(abruptly=True)
    watching.hears_until(Disconnected)
    engine.lose(event("die", 1002, exitCode="3"))
    watching.pauses.over()
    told = [seen(watching), seen(watching)]
    assert [each.event.type for each in told] == ["start", "die"]


# --- the engine's memory


def test_an_engine_that_remembers_the_last_event_has_forgotten_nothing(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    with Watching(engine, cursor=KNOWN) as watching:
        heard = watching.hears_until(ContainerList)
    assert [each.event_gap for each in heard if isinstance(each, (Connected, ContainerList))] == [
        EventGap.NONE
    ] * 2


def test_an_engine_whose_memory_has_been_overrun_is_a_lapse(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 1))
    for number in range(RING):
        engine.emit(event("exec_create: true", 2 + number / 1000))
    with Watching(engine, cursor=KNOWN) as watching:
        heard = watching.hears_until(ContainerList)
    assert [each.event_gap for each in heard if isinstance(each, (Connected, ContainerList))] == [
        EventGap.OVERRUN
    ] * 2


def test_where_no_event_was_known_a_full_memory_that_begins_later_is_a_lapse(engine: ScriptedEngine) -> None:
    for number in range(RING):
        engine.emit(event("start", 2 + number / 1000, number))
    with Watching(engine, cursor=Cursor(0, LONG_AGO, read_until_ns=moment(1))) as watching:
        heard = watching.hears_until(ContainerList)
    assert [each.event_gap for each in heard if isinstance(each, (Connected, ContainerList))] == [
        EventGap.OVERRUN
    ] * 2


def test_a_memory_overrun_by_other_things_after_all_was_read_is_no_lapse(engine: ScriptedEngine) -> None:
    for number in range(RING):
        engine.emit(event("exec_create: true", 2 + number))
    with Watching(engine, cursor=Cursor(moment(1), LONG_AGO, read_until_ns=moment(2))) as watching:
        heard = watching.hears_until(ContainerList)
    assert [each.event_gap for each in heard if isinstance(each, (Connected, ContainerList))] == [
        EventGap.NONE
    ] * 2


def test_an_engine_that_was_started_anew_is_a_lapse_of_its_own(engine: ScriptedEngine) -> None:
    engine.emit(event("start", 2))
    with Watching(engine, cursor=KNOWN) as watching:
        heard = watching.hears_until(ContainerList)
    assert [each.event_gap for each in heard if isinstance(each, (Connected, ContainerList))] == [
        EventGap.RESTARTED
    ] * 2


def test_a_lapse_is_said_with_the_next_list_however_many_connections_that_takes(
    engine: ScriptedEngine,
) -> None:
    engine.fail_next("/containers/json", 500)
    engine.emit(event("start", 2))
    with Watching(engine, cursor=KNOWN) as watching:
        watching.hears_until(Disconnected)
        watching.pauses.over()
        assert [
            each.event_gap for each in watching.hears_until(ContainerList) if isinstance(each, ContainerList)
        ] == [EventGap.RESTARTED]
        engine.cut()
        watching.hears_until(Disconnected)
        watching.pauses.over()
        assert [
            each.event_gap for each in watching.hears_until(ContainerList) if isinstance(each, ContainerList)
        ] == [EventGap.NONE]


def test_whether_a_stream_was_read_until_its_engine_closed_it_is_said_with_the_next(
    engine: ScriptedEngine,
) -> None:
    patience = WatchTimeouts(confirm=NEVER, stream=SOON)
    with Watching(engine, patience=patience) as watching:
        # By itself it opens a new one after a while; what the old one would have told, nobody has read.
        for _ in range(2):
            first, *_ = (each for each in watching.hears_until(ContainerList) if isinstance(each, Connected))
            assert not first.read_to_end
    with Watching(engine) as watching:
        watching.hears_until(ContainerList)
        engine.cut()
        watching.hears_until(Disconnected)
        watching.pauses.over()
        (again,) = (each for each in watching.hears_until(ContainerList) if isinstance(each, Connected))
        assert again.read_to_end


# --- a list comes after the events before it


def test_a_list_is_not_said_before_what_the_engine_had_told_by_then(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    with Watching(engine) as watching:
        watching.hears_until(Connected)
        engine.wait_for_requests("/containers/json", 1)
        engine.pause()
        engine.emit(event("start", 1_000))
        asked = len(engine.requests)
        engine.delay("/containers/json", 0)
        assert wait_until(lambda: len(engine.requests) > asked, 10)
        assert watching.says_no_more()
        engine.resume()
        heard = watching.hears_until(ContainerList)
    assert [type(each) for each in heard if isinstance(each, (EventReceived, ContainerList))] == [
        EventReceived,
        ContainerList,
    ]
    (listed,) = (each for each in heard if isinstance(each, ContainerList))
    assert listed.unlisted_ids == {identity(1)}


def test_a_list_is_not_said_before_what_is_told_again(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exit that only the list has told of would count, and once more when its events come."""
    engine.emit(event("die", 500, exitCode="3"))
    engine.delay("/containers/json", math.inf)
    may_read, tell = Event(), EngineWatcher._tell

    def tell_later(watch: EngineWatcher, *words: Any) -> None:
        may_read.wait(10)
        tell(watch, *words)

    monkeypatch.setattr(EngineWatcher, "_tell", tell_later)
    with Watching(engine, cursor=KNOWN) as watching:
        watching.hears_until(Connected)
        engine.wait_for_requests("/containers/json", 1)
        asked = len(engine.requests)
        engine.delay("/containers/json", 0)
        assert wait_until(lambda: len(engine.requests) > asked, 10)
        assert watching.says_no_more()
        may_read.set()
        heard = watching.hears_until(ContainerList)
    assert [type(each) for each in heard if isinstance(each, (EventReceived, ContainerList))] == [
        EventReceived,
        ContainerList,
    ]


def test_a_stream_that_lacks_what_the_engine_remembers_is_replaced(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    patience = WatchTimeouts(catch_up=SOON)
    with Watching(engine, patience=patience) as watching:
        watching.hears_until(Connected)
        engine.wait_for_requests("/containers/json", 1)
        engine.lose(event("die", 1_000, exitCode="3"))
        engine.delay("/containers/json", 0)
        disconnected = watching.hears_until(Disconnected)[-1]
        assert disconnected == Disconnected("the stream lacks events that the engine remembers")
        watching.pauses.over()
        assert seen(watching).event == parsed(encoded(event("die", 1_000, exitCode="3")))
        watching.hears_until(ContainerList)


# --- streams that hang


def test_a_stream_over_a_dead_link_is_found_out_by_asking(engine: ScriptedEngine) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON)) as watching:
        watching.hears_until(ContainerList)
        engine.fail_next("/events", HANG_UP)
        assert isinstance(watching.hears_until(Disconnected)[-1], Disconnected)
        watching.pauses.over()
        watching.hears_until(ContainerList)


def test_a_stream_that_lacks_what_the_engine_has_told_is_found_out_and_nothing_is_lost(
    engine: ScriptedEngine,
) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON, catch_up=SOON)) as watching:
        watching.hears_until(ContainerList)
        engine.lose(event("start", 1_000))
        assert watching.hears_until(Disconnected)[-1] == Disconnected(
            "the stream lacks events that the engine remembers"
        )
        watching.pauses.over()
        assert seen(watching).event == parsed(encoded(event("start", 1_000)))


def test_a_silent_stream_of_an_engine_that_answers_is_left_alone(engine: ScriptedEngine) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON)) as watching:
        watching.hears_until(ContainerList)
        heard = watching.hears(3)
    assert ({type(each) for each in heard}, len(since(engine))) == ({CaughtUp}, 1)


def test_events_that_were_dropped_in_the_middle_are_asked_for_again(engine: ScriptedEngine) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON, catch_up=SOON)) as watching:
        watching.hears_until(ContainerList)
        for _ in range(2):
            watching.hears_until(CaughtUp)
        engine.lose(event("start", 1_000.001))
        engine.emit(event("die", 1_000.002, 2, exitCode="3"))
        heard = watching.hears_until(Disconnected)
        watching.pauses.over()
        heard += watching.hears_until(ContainerList)
    told = {each.event.at_ns for each in heard if isinstance(each, EventReceived)}
    assert told == {moment(1_000.001), moment(1_000.002)}


def test_after_a_standstill_what_an_engine_may_have_dropped_is_asked_for_again(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON, catch_up=SOON)) as watching:
        watching.hears_until(ContainerList)
        watching.hears_until(CaughtUp)
        # From now on, any tick is one that comes too late.
        monkeypatch.setattr("exporter.sources.docker.watch.stream.STANDSTILL_SECONDS", 0.0)
        engine.lose(event("start", 1_000.001))
        engine.emit(event("die", 1_001, 2, exitCode="3"))
        told: set[int] = set()
        while len(told) < 2:
            told.add(seen(watching).event.at_ns)
    assert told == {moment(1_000.001), moment(1_001)}


def test_networks_that_come_and_go_do_not_hold_up_a_list(engine: ScriptedEngine) -> None:
    engine.delay("/containers/json", math.inf)
    with Watching(engine) as watching:
        watching.hears_until(Connected)
        engine.wait_for_requests("/containers/json", 1)
        engine.lose({"Type": "network", "Action": "create", "Actor": {"ID": "0" * 64}, "timeNano": NOW})
        engine.delay("/containers/json", 0)
        assert watching.hears_until(ContainerList)


def test_a_stream_that_a_proxy_has_forgotten_is_replaced_in_time_and_nothing_is_lost(
    engine: ScriptedEngine,
) -> None:
    with Watching(engine, patience=WatchTimeouts(confirm=SOON, stream=4 * SOON)) as watching:
        watching.hears_until(ContainerList)
        engine.pause()
        engine.emit(event("start", 1001))
        heard = watching.hears_until(EventReceived)
    assert (heard[-1], [each for each in heard if isinstance(each, Disconnected)]) == (
        EventReceived(parsed(encoded(event("start", 1001))), inspecting=True),
        [],
    )


# --- more than can be judged


def test_where_too_much_waits_reading_stops_and_goes_on_later(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.sources.docker.watch.watcher.MAX_INBOX", 20)
    with Watching(engine) as watching:
        watching.hears_until(ContainerList)
        for number in range(30):
            engine.emit(event("rename", 1001 + number))
        assert wait_until(lambda: watching.inbox.qsize() > 20, 10)
        heard = watching.hears_until(Disconnected)
        assert heard[-1] == Disconnected("more events than can be judged; they are asked for again later")
        watching.pauses.over()
        told = {each.event.at_ns for each in heard if isinstance(each, EventReceived)}
        while len(told) < 30:
            told.add(seen(watching).event.at_ns)
