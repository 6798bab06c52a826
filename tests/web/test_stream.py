"""The stream of changes: what is sent, from where it goes on, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from exporter.metrics.definitions import STREAM_CLIENTS, STREAM_DROPPED, Metric
from exporter.model import Evidence, Workload
from exporter.store import Batch, StoreError
from exporter.web.change_window import ChangeWindow
from tests.lab.wait import wait_until
from tests.store.samples import OOM, ended, job
from tests.web.event_stream import Event, EventStream
from tests.web.responses import content, problem
from tests.web.served import PATIENCE_SECONDS, Served

STREAM = "/api/v1/stream"
ALL_REASONS = "'exit-exporter codes' and /api/v1/reasons list all"
# More messages than come before the one that is waited for.
MANY = 1000
RESET = {"detail": "changes since Last-Event-ID are not known any more; load the list of jobs again"}
DROPPED = {"detail": "the client is too many changes behind; connect again"}


def opened(stream: EventStream) -> EventStream:
    """Return a stream whose opening is read."""
    assert stream.status == HTTPStatus.OK
    next(stream.messages())
    return stream


def start(served: Served, *digits: str) -> None:
    """Let jobs start, each in a commit of its own."""
    for digit in digits:
        served.commit(Batch(running=[job(digit)]))


def names(events: list[Event]) -> list[str]:
    """Return the last letter of each event's job."""
    return [event.data["name"][-1] for event in events]


def take(stream: EventStream, number: int) -> list[Event]:
    """Return the next events."""
    return [stream.next() for _ in range(number)]


def becomes(served: Served, metric: Metric, value: float) -> bool:
    """Return whether a metric gets this value."""
    return wait_until(lambda: served.metric_state.value(metric) == value, PATIENCE_SECONDS)


# What is sent


def test_each_change_is_sent_as_the_list_has_the_job(served: Served) -> None:
    with opened(served.stream()) as stream:
        for batch in (
            Batch(running=[job("a")]),
            Batch(running=[job("a", notes=("The engine reported an OOM kill.",))]),
            Batch(ended=[ended(job("a"), 137, OOM, oom_kills=1, log_tail="secret")]),
        ):
            served.commit(batch)
            event = stream.next()
            assert (event.type, event.data) == ("job", served.ask("/api/v1/jobs").json()["jobs"][0])


def test_it_begins_with_what_a_client_reconnects_by(served: Served) -> None:
    start(served, "a")
    with served.stream() as stream:
        assert (stream.response.getheader("content-type"), stream.response.getheader("cache-control")) == (
            "text/event-stream; charset=utf-8",
            "no-store",
        )
        assert next(stream.messages()).keys() == {"retry", "id"}
        assert (stream.retry, stream.last_event_id) == ("2000", served.feed.current_id())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "bacd"),
        ({"status": "failed"}, "cd"),
        ({"status": "running"}, "b"),
        ({"reason": "oomkilled"}, "c"),
        ({"workload": "night/train"}, "d"),
        ({"host": "node-2"}, "a"),
        ({"host": "node-1", "status": "failed", "reason": "Error"}, "d"),
    ],
)
def test_only_changes_that_meet_all_conditions_are_sent(
    served: Served, query: dict[str, str], expected: str
) -> None:
    night = Workload("night/train", "train")
    with opened(served.stream(**query)) as stream:
        start(served, "b")
        served.commit(
            Batch(
                ended=[
                    ended(job("a", instance="node-2"), 0),
                    ended(job("c"), 137, OOM),
                    ended(job("d", workload=night), 1),
                ]
            )
        )
        assert "".join(names(take(stream, len(expected)))) == expected


def test_a_silent_stream_is_kept_alive_and_moves_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.stream.KEEP_ALIVE_SECONDS", 0.01)
    with opened(served.stream(host="elsewhere")) as stream:
        start(served, "a")
        last = {"": "keep-alive", "id": served.feed.current_id()}
        assert last in islice(stream.messages(), MANY)


def test_head_has_no_body(served: Served) -> None:
    response = served.ask(STREAM, "HEAD")
    found = (response.status_code, response.headers["content-type"], response.content)
    assert found == (HTTPStatus.OK, "text/event-stream; charset=utf-8", b"")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("colour=red", "colour: unknown parameter; valid are: status, reason, workload, host, last_event_id"),
        ("reason=Tired", "reason: 'Tired' is not in the catalogue; did you mean TimedOut?"),
        ("reason=xyz", f"reason: 'xyz' is not in the catalogue; {ALL_REASONS}"),
    ],
)
def test_a_wrong_parameter_is_refused(served: Served, query: str, detail: str) -> None:
    found = served.ask(f"{STREAM}?{query}")
    assert (found.status_code, found.json()["detail"]) == (HTTPStatus.BAD_REQUEST, detail)


# Where it goes on


@pytest.mark.parametrize("read", range(4))
def test_it_goes_on_after_the_last_event_that_was_read(served: Served, read: int) -> None:
    with opened(served.stream()) as stream:
        start(served, *"abc")
        take(stream, read)
        last = stream.last_event_id
    start(served, "d")
    with opened(served.stream(last)) as by_header, opened(served.stream(last_event_id=last)) as by_query:
        for again in (by_header, by_query):
            assert names(take(again, 4 - read)) == [*"abcd"][read:]


def test_the_header_overrides_the_parameter(served: Served) -> None:
    begin = served.feed.current_id()
    start(served, *"ab")
    with opened(served.stream(served.feed.current_id(), last_event_id=begin)) as stream:
        start(served, "c")
        assert names([stream.next()]) == ["c"]


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    with Served(tmp_path).running() as before:
        start(before, *"ab")
        with opened(before.stream()) as stream:
            last = stream.last_event_id
        # Committed while nobody listens, as at a shutdown.
        start(before, *"cd")
    with Served(tmp_path).running() as after, opened(after.stream(last)) as stream:
        start(after, "e")
        assert names(take(stream, 3)) == [*"cde"]


def test_a_page_misses_nothing_between_its_list_and_its_stream(served: Served) -> None:
    start(served, "a")
    last = served.feed.current_id()
    start(served, "b")
    listed = [each["name"][-1] for each in served.ask("/api/v1/jobs").json()["jobs"]]
    start(served, "c")
    with opened(served.stream(last_event_id=last)) as stream:
        assert {*listed, *names(take(stream, 2))} == {*"abc"}


def test_a_change_while_a_stream_is_opened_is_sent(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    refresh = served.feed.refresh

    def refresh_too_early() -> ChangeWindow:
        monkeypatch.setattr(served.feed, "refresh", refresh)
        window = refresh()
        start(served, "a")
        # It is looked at while no stream is open yet.
        assert wait_until(lambda: not served.feed._is_stale.is_set(), PATIENCE_SECONDS)
        return window

    monkeypatch.setattr(served.feed, "refresh", refresh_too_early)
    with opened(served.stream()) as stream:
        assert names([stream.next()]) == ["a"]


def unusable_ids(served: Served) -> Iterator[str]:
    """Yield ids from which no stream can go on."""
    database, _, number = served.feed.current_id().partition("-")
    yield from ("x", "-", "0", database, f"{database}-", f"{database}-x", f"{database}-²", "é")
    # Ahead of all that is on record, as after a backup was put back.
    yield f"{database}-{int(number) + 10**18}"
    yield f"{database}-{'9' * 30}"
    yield f"{database}--1"
    yield f"{'0' * len(database)}-{number}"


def test_it_says_so_where_it_cannot_go_on(served: Served) -> None:
    start(served, "a")
    newest = served.feed.current_id()
    for number, event_id in enumerate(unusable_ids(served)):
        with opened(served.stream(last_event_id=event_id)) as stream:
            assert stream.next() == Event("reset", newest, RESET)
            start(served, f"{number:x}")
            assert names([stream.next()]) == [f"{number:x}"]
            newest = stream.last_event_id


def test_it_says_so_if_too_much_has_changed(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("change_feed", "change_window"):
        monkeypatch.setattr(f"exporter.web.{module}.MAX_CHANGES", 3)
    seen = []
    for digit in "abcde":
        start(served, digit)
        seen.append(served.feed.current_id())
    for after, expected in enumerate(("reset", "job", "job", "job")):
        with opened(served.stream(seen[after])) as stream:
            assert stream.next().type == expected


def test_it_says_so_if_jobs_were_deleted_meanwhile(tmp_path: Path) -> None:
    with Served(tmp_path).running() as before:
        start(before, "a")
        last = before.feed.current_id()
        before.store.prune(int(last.partition("-")[2]) + 1)
    with Served(tmp_path).running() as after, opened(after.stream(last)) as stream:
        assert stream.next().type == "reset"


# How it ends


def large(number: int) -> Batch:
    """Return a change of 100 kB."""
    notes = tuple(f"{line:05}" * 1000 for line in range(20))
    return Batch(ended=[ended(job("a", name=f"job-{number}"), 1, Evidence(notes=notes))])


def test_a_slow_reader_is_dropped_and_no_other(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.change_feed.PAUSE_SECONDS", 0)
    with opened(served.stream()) as fast, opened(served.stream()) as slow:
        # More than the window and the system's buffers of a connection hold.
        for number in range(200):
            served.commit(large(number))
            assert fast.next().data["name"] == f"job-{number}"
        *read, last = slow.events()
        assert [each.data["name"] for each in read] == [f"job-{number}" for number in range(len(read))]
        assert 0 < len(read) < 200
        assert (last.type, last.data, last.id) == ("dropped", DROPPED, read[-1].id)
        assert served.metric_state.value(STREAM_DROPPED) == 1
        assert becomes(served, STREAM_CLIENTS, 1)
        # What it missed is not held any more.
        with opened(served.stream(last.id)) as again:
            assert again.next().type == "reset"


def test_a_client_that_stands_still_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.listening.STUCK_SECONDS", 0.1)
    with Served(tmp_path).running() as served, opened(served.stream()):
        numbers = count()

        def is_gone() -> bool:
            served.commit(large(next(numbers)))
            served.feed.refresh()
            return served.metric_state.value(STREAM_CLIENTS) == 0

        assert wait_until(is_gone, PATIENCE_SECONDS)


def test_the_number_of_streams_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.stream.MAX_STREAMS", 3)
    detail = "3 streams are open, and no more are served; try again later"
    with ExitStack() as streams:
        first, *_ = [streams.enter_context(opened(served.stream())) for _ in range(3)]
        with served.stream() as refused:
            assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert json.loads(refused.response.read())["detail"] == detail
        assert becomes(served, STREAM_CLIENTS, 3)
        first.close()
        assert becomes(served, STREAM_CLIENTS, 2)
        streams.enter_context(opened(served.stream()))
    assert becomes(served, STREAM_CLIENTS, 0)


def test_all_streams_end_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server does not end by itself while a response goes on.
    monkeypatch.setattr("exporter.web.server.GRACE_SECONDS", 10 * PATIENCE_SECONDS)
    with ExitStack() as streams:
        with Served(tmp_path).running() as served:
            opened_ones = [streams.enter_context(opened(served.stream())) for _ in range(20)]
            start(served, "a")
            assert [names([each.next()]) for each in opened_ones] == [["a"]] * 20
        # Each with its regular end.
        assert [each.response.read() for each in opened_ones] == [b""] * 20


def test_a_store_that_cannot_be_read_is_a_problem(served: Served) -> None:
    cause = served.break_store()
    detail = f"the store cannot be read: {cause}"
    assert content(served.ask(STREAM)) == problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def test_an_open_stream_waits_for_the_store(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.web.change_feed.RETRY_SECONDS", 0.001)
    read, refusals = served.store.reader.latest_changes, count()

    def refuse(after: int, limit: int) -> Any:
        if next(refusals) < 3:
            raise StoreError("disk I/O error")
        return read(after, limit)

    with opened(served.stream()) as stream:
        monkeypatch.setattr(served.store.reader, "latest_changes", refuse)
        start(served, *"ab")
        assert names(take(stream, 2)) == [*"ab"]
        assert next(refusals) > 3


def test_nothing_is_read_while_nobody_listens(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = count()
    with opened(served.stream()) as stream:
        start(served, "a")
        stream.next()
    assert becomes(served, STREAM_CLIENTS, 0)
    monkeypatch.setattr(served.store.reader, "latest_changes", lambda *_: next(reads))
    start(served, *"bcd")
    assert wait_until(lambda: not served.feed._is_stale.is_set(), PATIENCE_SECONDS)
    assert next(reads) == 0
