"""What becomes of what waits for a collector: all of it is delivered or counted, whatever it answers."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.config.settings import TraceSettings
from exporter.metrics.state import MetricState, MetricUpdate
from exporter.model import TelemetrySignal, Trace
from exporter.otlp import outbox_queue, outbox_worker
from exporter.otlp.client import Accepted, ExportResult
from exporter.otlp.config import OtelConfig
from exporter.otlp.encoding import ExportRequest
from exporter.otlp.endpoint import OtlpEndpoint
from exporter.otlp.factory import build_workers
from exporter.otlp.outbox_worker import MAX_SUSPECTS, SUSPECT_AFTER, Backoff
from exporter.store import Store
from tests.contract.delivering import (
    BRIEF,
    LIMITS,
    PATIENCE_SECONDS,
    Delivering,
    Sums,
    collector,
    failed,
    job_id,
    span_id,
    span_ids,
)
from tests.lab.wait import wait_until
from tests.scripted.http_receiver import Receiver
from tests.scripted.http_replies import (
    OK,
    Reply,
    hang,
    html,
    json_ok,
    partial,
    redirect,
    reset,
    reset_after_keeping,
    slow_drip,
    status,
)
from tests.scripted.received import ReceivedSpan
from tests.store.files import trigger

LONG = Backoff(first=600, longest=600)
SHORT_SECONDS = 0.1
"""How long a collector is waited for that does not answer."""
SILENT = ("hangs", "drips")

FAULTS = {
    "429": status(429),
    "429 with Retry-After": status(429, retry_after=0),
    "500": status(500),
    "502": status(502),
    "503": status(503),
    "503 with Retry-After that is none": status(503, retry_after="soon"),
    "404": status(404),
    "401": status(401),
    "403": status(403),
    "redirect": redirect("/elsewhere"),
    "a page": html(),
    "reset": reset(),
    "reset after keeping": reset_after_keeping(),
    "hangs": hang(),
    "drips": slow_drip(),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that runs and takes everything."""
    with Receiver() as running:
        yield running


def ids(spans: list[ReceivedSpan]) -> list[str]:
    """The ids of spans, in their order."""
    return [span.span_id for span in spans]


def seconds_for(fault: str) -> float:
    """How long to wait for an answer: where none comes, a test need not be slow."""
    return SHORT_SECONDS if fault in SILENT else PATIENCE_SECONDS


def refusing(receiver: Receiver, reply: Reply, *numbers: int) -> None:
    """Let a receiver reply this to every request with one of these jobs, and take the others."""
    bad = set(span_ids(numbers))
    receiver.otherwise(lambda spans: reply if bad.intersection(ids(spans)) else OK)


def tell(entries: Iterable[Mapping[str, Any]], *levels: str) -> list[dict[str, Any]]:
    """Those log entries of such levels, without the first, which says where to."""
    return [
        dict(entry) for entry in entries if entry["log_level"] in levels and entry["event"] != "exporting"
    ]


# --- in fair weather


def test_all_that_waits_is_delivered_in_batches_the_oldest_first(tmp_path: Path, receiver: Receiver) -> None:
    numbers = range(1200, 0, -1)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(numbers).start()
        assert delivering.come_to(Sums(exported=1200))
    assert ids(receiver.spans) == span_ids(numbers)
    assert [request.spans for request in receiver.requests] == [512, 512, 176]


def test_what_is_posted_meanwhile_is_delivered_at_once(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        for number in range(5):
            delivering.posts([number])
            assert delivering.come_to(Sums(exported=number + 1))
    assert ids(receiver.spans) == span_ids(range(5))


def test_no_posting_is_missed_however_it_meets_the_worker(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        for number in range(60):
            delivering.posts([number])
        assert delivering.come_to(Sums(exported=60))
    assert ids(receiver.spans) == span_ids(range(60))


def test_threads_that_post_at_once_are_all_delivered(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        threads = [
            threading.Thread(
                target=lambda first=first: [delivering.posts([first + step]) for step in range(25)]
            )
            for first in (0, 100, 200)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert delivering.come_to(Sums(exported=75))
    assert Counter(ids(receiver.spans)) == Counter(
        span_ids(first + step for first in (0, 100, 200) for step in range(25))
    )


def test_from_the_start_the_series_are_there_at_what_is_on_record(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as before:
        before.posts(range(3)).start()
        assert before.come_to(Sums(exported=3))
        receiver.stop()
        before.posts([3])
    with Delivering(tmp_path, receiver, LONG) as after:
        after.start()
        assert after.ledger.snapshot() == {
            ("exit_exporter_otlp_pending_jobs", ("traces",)): 1,
            ("exit_exporter_otlp_jobs_exported_total", ("traces",)): 3,
            ("exit_exporter_otlp_jobs_rejected_total", ("traces",)): 0,
            ("exit_exporter_otlp_jobs_dropped_total", ("traces",)): 0,
        }


def test_what_is_settled_is_left_to_no_other_to_save_who_could_undo_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        assert delivering.ledger.values_to_store(MetricUpdate()) == {}
        delivering.posts(range(3))
        assert delivering.come_to(Sums(exported=3))
        assert delivering.ledger.values_to_store(MetricUpdate()) == {}


def test_where_it_delivers_to_is_said_without_secrets(tmp_path: Path, receiver: Receiver) -> None:
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.start()
    assert said == [
        {"event": "exporting", "signal": "traces", "to": f"{receiver.url}/v1/traces", "log_level": "info"}
    ]


def test_each_signal_is_delivered_whatever_becomes_of_the_other(tmp_path: Path) -> None:
    with Receiver() as bad, Receiver() as good, ExitStack() as stack:
        bad.otherwise(status(503))
        exporting = OtelConfig(
            {
                TelemetrySignal.TRACES: OtlpEndpoint(f"{bad.url}/v1/traces"),
                TelemetrySignal.LOGS: OtlpEndpoint(f"{good.url}/v1/logs"),
            }
        )
        with Delivering(tmp_path, good, signal=TelemetrySignal.LOGS) as logs:
            logs.posts(range(3))
            logs.signal = TelemetrySignal.TRACES
            logs.posts(range(3))
            for each in build_workers(TraceSettings(), exporting, logs.store, logs.ledger):
                each.start()
                stack.callback(each.stop, PATIENCE_SECONDS)
            bad.wait_for_requests(1)
            logs.signal = TelemetrySignal.LOGS
            assert logs.come_to(Sums(exported=3))
            logs.signal = TelemetrySignal.TRACES
            assert logs.sums() == Sums(pending=3)
            stack.close()
        assert {record.span_id for record in good.records} == set(span_ids(range(3)))


# --- a collector that is away


def test_a_collector_that_comes_back_is_brought_all_and_both_are_said_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.stop()
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(40)).start()
        assert wait_until(lambda: len(tell(said, "debug")) > 3, PATIENCE_SECONDS)
        delivering.posts(range(40, 50))
        assert delivering.sums() == Sums(pending=50)
        receiver.start()
        assert delivering.come_to(Sums(exported=50))
    assert Counter(ids(receiver.spans)) == Counter(span_ids(range(50)))
    assert tell(said, "info", "warning") == [
        {
            "event": "export failed, will retry",
            "signal": "traces",
            "collector": f"{receiver.url}/v1/traces",
            "cause": "Connection refused",
            "log_level": "warning",
        },
        {"event": "export works again", "signal": "traces", "log_level": "info"},
    ]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_be_taken_later_is_tried_again_and_none_of_it_is_lost(
    tmp_path: Path, receiver: Receiver, fault: str
) -> None:
    receiver.replies(*[FAULTS[fault]] * 3)
    with Delivering(tmp_path, collector(receiver, seconds_for(fault))) as delivering:
        delivering.posts(range(40)).start()
        assert delivering.come_to(Sums(exported=40))
    assert set(ids(receiver.spans)) == set(span_ids(range(40)))
    if fault not in {"reset after keeping", *SILENT}:
        assert ids(receiver.spans) == span_ids(range(40))


def test_an_answer_in_json_is_one_too(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(json_ok())
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(3)).start()
        assert delivering.come_to(Sums(exported=3))
    assert len(receiver.requests) == 1


def test_a_collector_that_asks_for_it_is_left_alone_for_that_long(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies(status(429, retry_after=1))
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(2)).start()
        receiver.wait_for_requests(1)
        delivering.posts([2])
        assert delivering.come_to(Sums(exported=3))
    first, second = receiver.requests[:2]
    assert second.moment - first.moment >= 1


def test_no_collector_can_ask_to_be_left_alone_for_ever(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "MAX_RETRY_SECONDS", 0.05)
    receiver.replies(status(503, retry_after=10**9))
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts([1]).start()
        assert delivering.come_to(Sums(exported=1))


def test_what_is_posted_during_a_pause_does_not_end_it(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with Delivering(tmp_path, receiver, LONG) as delivering:
        delivering.start()
        for number in range(30):
            delivering.posts([number])
        receiver.wait_for_requests(1)
        delivering.posts([30])
        delivering.delivery.stop(PATIENCE_SECONDS)
        assert delivering.sums() == Sums(pending=31)
    assert len(receiver.requests) == 1


def test_after_a_failure_fewer_are_sent_at_once_and_more_again_with_every_success(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.replies(status(500), status(500), status(500))
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(1000)).start()
        assert delivering.come_to(Sums(exported=1000))
    sizes = [request.spans for request in receiver.requests]
    assert sizes == [512, 256, 128, 64, 128, 256, 512, 40]


# --- what is refused for good


@pytest.mark.parametrize("bad", [0, 511, 512, 700, 999])
def test_one_that_is_refused_is_set_aside_with_its_cause_and_stops_no_other(
    tmp_path: Path, receiver: Receiver, bad: int
) -> None:
    refusing(receiver, status(400), bad)
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(1000)).start()
        assert delivering.come_to(Sums(exported=999, rejected=1))
        with closing(sqlite3.connect(delivering.path)) as connection:
            left = connection.execute("SELECT job_id, aside, refused FROM outbox").fetchall()
    assert ids(receiver.spans) == span_ids(number for number in range(1000) if number != bad)
    assert left == [(job_id(bad), 1, "HTTP 400: scripted failure")]
    assert tell(said, "debug", "info", "warning", "error") == [
        {
            "event": "job rejected, set aside until the next start",
            "signal": "traces",
            "job": job_id(bad),
            "cause": "HTTP 400: scripted failure",
            "log_level": "warning",
        }
    ]
    assert len(receiver.requests) < 40


def test_what_was_set_aside_is_tried_again_after_a_restart_and_not_counted_as_rejected_twice(
    tmp_path: Path, receiver: Receiver
) -> None:
    refusing(receiver, status(400), 3)
    for runs in range(1, 4):
        asked = len(receiver.requests)
        with Delivering(tmp_path, receiver) as delivering:
            assert delivering.store.outbox.count_pending(TelemetrySignal.TRACES) == int(runs > 1)
            delivering.posts(range(10 * runs, 10 * runs + 4)).posts([3] * (runs == 1)).start()
            assert delivering.come_to(Sums(exported=4 * runs, rejected=1))
        assert len(receiver.requests) > asked + 1


def test_what_was_set_aside_is_taken_after_a_restart_if_the_collector_was_mended(
    tmp_path: Path, receiver: Receiver
) -> None:
    refusing(receiver, status(400), 3)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(5)).start()
        assert delivering.come_to(Sums(exported=4, rejected=1))
    receiver.otherwise(OK)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        assert delivering.come_to(Sums(exported=5, rejected=1))
    assert ids(receiver.spans) == span_ids([0, 1, 2, 4, 3])


@pytest.mark.parametrize("code", [400, 413, 422])
def test_of_several_that_are_refused_each_is_set_aside_and_the_others_are_taken(
    tmp_path: Path, receiver: Receiver, code: int
) -> None:
    bad = (0, 1, 17, 50, 98, 99)
    refusing(receiver, status(code), *bad)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(100)).start()
        assert delivering.come_to(Sums(exported=94, rejected=6))
    assert ids(receiver.spans) == span_ids(number for number in range(100) if number not in bad)


def test_a_collector_that_refuses_everything_is_asked_ever_more_slowly(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.otherwise(status(400))
    with capture_logs() as said, Delivering(tmp_path, receiver, LONG) as delivering:
        delivering.posts(range(100)).start()
        # It waits now.
        assert delivering.come_to(Sums(pending=89, rejected=11))
        delivering.delivery.stop(PATIENCE_SECONDS)
        assert delivering.sums() == Sums(pending=89, rejected=11)
        # The newest one, too, was tried: it might have been taken.
        assert delivering.waiting() == [job_id(number) for number in range(10, 99)]
    assert [entry["event"] for entry in tell(said, "warning")] == [
        *["job rejected, set aside until the next start"] * 11,
        "collector rejects everything, slowing down",
    ]
    receiver.otherwise(OK)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        assert delivering.come_to(Sums(exported=100, rejected=11))


def test_many_that_are_refused_one_after_the_other_do_not_hold_up_those_behind_them(
    tmp_path: Path, receiver: Receiver
) -> None:
    bad = {span_id(number) for number in range(40)}
    receiver.otherwise(lambda spans: status(400) if bad & {span.span_id for span in spans} else OK)
    with Delivering(tmp_path, receiver, LONG) as delivering:
        delivering.posts(range(140)).start()
        assert delivering.come_to(Sums(exported=100, rejected=40))


def test_what_a_collector_takes_in_part_counts_so_and_is_not_sent_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.replies(partial(3, "too old"))
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(10)).start()
        assert delivering.come_to(Sums(exported=7, rejected=3))
        delivering.posts([10])
        assert delivering.come_to(Sums(exported=8, rejected=3))
    assert [request.spans for request in receiver.requests] == [10, 1]
    assert tell(said, "debug", "info", "warning") == [
        {
            "event": "collector accepted with a message",
            "signal": "traces",
            "rejected": 3,
            "message": "too old",
            "log_level": "warning",
        }
    ]


@pytest.mark.parametrize(
    ("rejected", "sums"),
    [(0, Sums(exported=10)), (10, Sums(rejected=10)), (99, Sums(rejected=10)), (-1, Sums(exported=10))],
)
def test_no_more_are_rejected_than_were_sent(
    tmp_path: Path, receiver: Receiver, rejected: int, sums: Sums
) -> None:
    receiver.replies(partial(rejected, "a word of warning"))
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(10)).start()
        assert delivering.come_to(sums)
    assert len(receiver.requests) == 1


# --- what a collector fails at


@pytest.mark.parametrize("bad", [0, 50, 99])
@pytest.mark.parametrize("fault", ["500", "reset", "hangs"])
def test_one_at_which_a_collector_fails_stops_neither_the_others_nor_later_ones(
    tmp_path: Path, receiver: Receiver, fault: str, bad: int
) -> None:
    refusing(receiver, FAULTS[fault], bad)
    others = [number for number in range(120) if number != bad]
    with Delivering(tmp_path, collector(receiver, seconds_for(fault))) as delivering:
        delivering.posts(range(100)).start()
        assert delivering.come_to(Sums(pending=1, exported=99))
        delivering.posts(range(100, 120))
        assert delivering.come_to(Sums(pending=1, exported=119))
        assert delivering.waiting() == [job_id(bad)]
        assert set(ids(receiver.spans)) == set(span_ids(others))
        receiver.otherwise(OK)
        assert delivering.come_to(Sums(exported=120))
    assert receiver.spans[-1].span_id == span_id(bad)
    if fault not in SILENT:
        assert Counter(ids(receiver.spans)) == Counter(span_ids(range(120)))


def test_one_at_which_a_collector_always_fails_keeps_no_other_waiting(
    tmp_path: Path, receiver: Receiver
) -> None:
    refusing(receiver, status(500), 0)
    slow = Backoff(first=0.2, longest=600)
    with Delivering(tmp_path, receiver, slow) as delivering:
        delivering.posts([0]).start()
        assert wait_until(lambda: delivering.delivery._waits_for_suspect, PATIENCE_SECONDS)
        delivering.posts([1])
        assert delivering.come_to(Sums(pending=1, exported=1))


def test_a_collector_that_fails_at_everything_makes_suspects_of_few(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.otherwise(status(503))
    with Delivering(tmp_path, receiver, BRIEF) as delivering:
        delivering.posts(range(40)).start()
        receiver.wait_for_requests(SUSPECT_AFTER * (MAX_SUSPECTS + 10))
        assert len(delivering.delivery._suspects) <= MAX_SUSPECTS
        receiver.otherwise(OK)
        assert delivering.come_to(Sums(exported=40))
        assert delivering.delivery._suspects == []


def test_several_at_which_a_collector_fails_are_tried_in_turns(tmp_path: Path, receiver: Receiver) -> None:
    bad = (0, 1, 2, 30)
    refusing(receiver, status(500), *bad)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(40)).start()
        assert delivering.come_to(Sums(pending=4, exported=36))
        refusing(receiver, status(500), *bad[:3])
        assert delivering.come_to(Sums(pending=3, exported=37))
        receiver.otherwise(OK)
        assert delivering.come_to(Sums(exported=40))
    assert Counter(ids(receiver.spans)) == Counter(span_ids(range(40)))


def test_one_that_cannot_be_written_down_is_set_aside_and_stops_no_other(
    tmp_path: Path, receiver: Receiver
) -> None:
    bad = replace(failed(2), trace=Trace("no trace id", span_id(2)))
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts_ends([failed(1), bad, failed(3)]).start()
        assert delivering.come_to(Sums(exported=2, rejected=1))
    assert ids(receiver.spans) == span_ids([1, 3])
    (aside,) = tell(said, "debug", "warning", "error")
    cause = str(aside.pop("cause"))
    assert aside == {
        "event": "job rejected, set aside until the next start",
        "signal": "traces",
        "job": job_id(2),
        "log_level": "warning",
    }
    assert cause.startswith("cannot be encoded: ValueError(")


def test_where_none_can_be_written_down_nothing_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts_ends(replace(failed(number), trace=None) for number in range(5)).start()
        assert delivering.come_to(Sums(rejected=5))
    assert receiver.requests == []


def test_one_whose_job_is_gone_is_given_up(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(3))
        with closing(sqlite3.connect(delivering.path)) as connection, connection:
            connection.execute("DELETE FROM jobs WHERE name = 'job-1'")
        delivering.start()
        assert delivering.come_to(Sums(exported=2, given_up=1))
    assert ids(receiver.spans) == span_ids([0, 2])


class Mistaken:
    """A collector with a bug, which is mended after some calls."""

    address = "nowhere"

    def __init__(self, mistakes: int) -> None:
        self.left = mistakes

    def send(self, request: ExportRequest) -> ExportResult:
        """Fail as no collector should, or take it."""
        self.left -= 1
        if self.left >= 0:
            raise ZeroDivisionError(request.items)
        return Accepted()

    def close(self) -> None:
        """Do nothing."""


def test_a_bug_is_logged_and_does_not_end_the_delivery(tmp_path: Path) -> None:
    with capture_logs() as said, Delivering(tmp_path, Mistaken(2)) as delivering:
        delivering.posts(range(3)).start()
        assert delivering.come_to(Sums(exported=3))
    assert [entry["event"] for entry in tell(said, "error")] == ["unexpected error while sending"] * 2


# --- bounds


def given_up(said: Iterable[Mapping[str, Any]]) -> list[int]:
    """How many were given up each time, as the log tells."""
    return [entry["count"] for entry in said if entry["event"] == "jobs dropped unsent: too old or too many"]


def test_of_too_many_the_oldest_are_given_up_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    few = replace(LIMITS, entries=10)
    with capture_logs() as said, Delivering(tmp_path, receiver, limits=few) as delivering:
        delivering.posts(range(25)).start()
        assert delivering.come_to(Sums(exported=10, given_up=15))
    assert ids(receiver.spans) == span_ids(range(15, 25))
    assert given_up(said) == [15]


def test_the_bounds_hold_while_the_collector_is_away(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    receiver.otherwise(status(503))
    few = replace(LIMITS, entries=10)
    with Delivering(tmp_path, receiver, LONG, limits=few) as delivering:
        delivering.start()
        for number in range(5):
            delivering.posts(range(number * 6, number * 6 + 6))
        assert delivering.come_to(Sums(pending=10, given_up=20))
        assert delivering.waiting() == [job_id(number) for number in range(20, 30)]


def test_what_comes_right_after_the_bounds_were_looked_at_is_held_to_them_too(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.otherwise(status(503))
    with Delivering(tmp_path, receiver, LONG, limits=replace(LIMITS, entries=10)) as delivering:
        delivering.posts(range(10)).start()
        receiver.wait_for_requests(1)
        delivering.posts(range(10, 60))
        assert delivering.come_to(Sums(pending=10, given_up=50))
        assert delivering.waiting() == [job_id(number) for number in range(50, 60)]


def test_what_has_waited_for_too_long_is_given_up_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver, BRIEF, limits=replace(LIMITS, seconds=3600)) as delivering:
        delivering.posts(range(8))
        with closing(sqlite3.connect(delivering.path)) as connection, connection:
            hours = "kept_ns - (3600 + ?) * 1000000000"
            connection.execute(f"UPDATE outbox SET kept_ns = {hours} WHERE number <= 3", (0,))  # noqa: S608
            connection.execute(f"UPDATE outbox SET kept_ns = {hours} WHERE number = 4", (-600,))  # noqa: S608
        delivering.start()
        assert delivering.come_to(Sums(exported=5, given_up=3))
    assert ids(receiver.spans) == span_ids(range(3, 8))


def test_without_an_age_nothing_is_too_old(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver, BRIEF, limits=replace(LIMITS, seconds=0)) as delivering:
        delivering.posts(range(3))
        with closing(sqlite3.connect(delivering.path)) as connection, connection:
            connection.execute("UPDATE outbox SET kept_ns = 0")
        delivering.start()
        assert delivering.come_to(Sums(exported=3))


def test_what_is_set_aside_takes_room_and_is_not_counted_again_when_it_is_forgotten(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    refusing(receiver, status(400), 0, 1)
    with Delivering(tmp_path, receiver, BRIEF, limits=replace(LIMITS, entries=3)) as delivering:
        delivering.posts(range(3)).start()
        assert delivering.come_to(Sums(exported=1, rejected=2))
        receiver.otherwise(status(503))
        delivering.posts([3, 4])
        overdue = delivering.store.outbox.expired
        assert wait_until(lambda: len(overdue(TelemetrySignal.TRACES, 0, 0, 9)) == 3, PATIENCE_SECONDS)
        assert delivering.sums() == Sums(pending=2, exported=1, rejected=2)


def test_many_more_than_can_be_given_up_at_once_are_given_up(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "MAX_DROPPED_AT_ONCE", 7)
    with (
        capture_logs() as said,
        Delivering(tmp_path, receiver, BRIEF, limits=replace(LIMITS, entries=4)) as delivering,
    ):
        delivering.posts(range(22)).start()
        assert delivering.come_to(Sums(exported=4, given_up=18))
    assert given_up(said) == [7, 7, 4]


def test_no_request_is_larger_than_a_collector_takes_but_for_a_single_one_that_is(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, framing = 20_000, 500
    monkeypatch.setattr(outbox_worker, "MAX_BYTES", most)
    ends = [failed(number, log_tail="x" * 3000) for number in range(40)]
    ends[20] = failed(20, log_tail="x" * 50_000)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts_ends(ends).start()
        assert delivering.come_to(Sums(exported=40))
    assert ids(receiver.spans) == span_ids(range(40))
    large = [request for request in receiver.requests if request.size > most + framing]
    assert [(request.spans, request.size > 50_000) for request in large] == [(1, True)]
    # And yet as few as can be: of the others, four fit.
    assert [request.spans for request in receiver.requests] == [*[4] * 5, 1, *[4] * 4, 3]


def test_ends_of_logs_go_in_requests_that_every_collector_takes(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts_ends(failed(number, log_tail="x" * 64_000) for number in range(60)).start()
        assert delivering.come_to(Sums(exported=60))
    assert ids(receiver.spans) == span_ids(range(60))
    assert max(request.size for request in receiver.requests) <= outbox_worker.MAX_BYTES + 64_000


# --- a store that refuses


@pytest.mark.parametrize("when", ["BEFORE DELETE ON outbox", "BEFORE INSERT ON series"])
def test_what_was_taken_and_could_not_be_recorded_is_recorded_later_and_not_sent_again(
    tmp_path: Path, receiver: Receiver, when: str
) -> None:
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(5))
        with trigger(delivering.path, when, "ABORT"):
            delivering.start()
            receiver.wait_for_requests(1)
            assert wait_until(lambda: bool(tell(said, "warning")), PATIENCE_SECONDS)
            assert delivering.store.outbox.count_pending(TelemetrySignal.TRACES) == 5
        assert delivering.come_to(Sums(exported=5))
    assert ids(receiver.spans) == span_ids(range(5))
    assert tell(said, "warning") == [
        {
            "event": "outbox unavailable, will retry",
            "signal": "traces",
            "collector": f"{receiver.url}/v1/traces",
            "cause": f"{delivering.path}: not today",
            "log_level": "warning",
        }
    ]


def test_what_was_taken_and_not_recorded_before_a_crash_is_sent_again_with_the_same_ids(
    tmp_path: Path, receiver: Receiver
) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(5))
        with trigger(delivering.path, "BEFORE DELETE ON outbox", "ABORT"):
            delivering.start()
            receiver.wait_for_requests(1)
            delivering.delivery.stop(PATIENCE_SECONDS)
    with Delivering(tmp_path, receiver) as delivering:
        delivering.start()
        assert delivering.come_to(Sums(exported=5))
    assert ids(receiver.spans) == span_ids(range(5)) * 2


def test_what_was_refused_and_could_not_be_recorded_is_set_aside_later_and_counted_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    refusing(receiver, status(400), 1)
    with capture_logs() as said, Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(3))
        with trigger(delivering.path, "BEFORE UPDATE ON outbox", "ABORT"):
            delivering.start()
            assert wait_until(
                lambda: any("outbox" in entry["event"] for entry in tell(said, "warning")), PATIENCE_SECONDS
            )
        assert delivering.come_to(Sums(exported=2, rejected=1))
    assert ids(receiver.spans) == span_ids([0, 2])


def test_what_could_not_be_given_up_is_later(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    with (
        capture_logs() as said,
        Delivering(tmp_path, receiver, BRIEF, limits=replace(LIMITS, entries=2)) as delivering,
    ):
        delivering.posts(range(5))
        with trigger(delivering.path, "BEFORE DELETE ON outbox", "ABORT"):
            delivering.start()
            assert wait_until(lambda: len(tell(said, "debug")) > 2, PATIENCE_SECONDS)
            assert delivering.sums() == Sums(pending=5)
        assert delivering.come_to(Sums(exported=2, given_up=3))


# --- stopping


def test_stopping_delivers_first_what_can_be_delivered(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(1300)).start()
        delivering.delivery.stop(PATIENCE_SECONDS)
        assert delivering.sums() == Sums(exported=1300)
    assert ids(receiver.spans) == span_ids(range(1300))


def test_stopping_delivers_what_was_posted_just_before(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts([0]).start()
        assert delivering.come_to(Sums(exported=1))
        delivering.posts([1]).delivery.stop(PATIENCE_SECONDS)
        assert delivering.sums() == Sums(exported=2)


def test_stopping_does_not_wait_for_a_collector_that_hangs_and_nothing_is_lost(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.otherwise(hang())
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(3)).start()
        receiver.wait_for_requests(1)
        begun = time.monotonic()
        delivering.delivery.stop(0.2)
        assert 0.1 < time.monotonic() - begun < 2
        assert delivering.sums() == Sums(pending=3)
        receiver.stop()
    receiver.otherwise(OK)
    receiver.start()
    with Delivering(tmp_path, receiver) as after:
        after.start()
        assert after.come_to(Sums(exported=3))
    assert ids(receiver.spans) == span_ids(range(3))


def test_what_a_collector_takes_after_the_store_is_closed_is_sent_again_at_the_next_start(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.replies(hang())
    with Delivering(tmp_path, receiver) as delivering:
        delivering.posts(range(3)).start()
        receiver.wait_for_requests(1)
        delivering.delivery.stop(0)
        delivering.store.close()
        receiver.release()
        receiver.wait_for_spans(3)
        assert wait_until(lambda: not delivering.delivery._thread.is_alive(), PATIENCE_SECONDS)
    with Delivering(tmp_path, receiver) as after:
        after.start()
        assert after.come_to(Sums(exported=3))
    assert ids(receiver.spans) == span_ids(range(3)) * 2


def test_stopping_ends_a_pause(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with Delivering(tmp_path, receiver, LONG) as delivering:
        delivering.posts(range(3)).start()
        receiver.wait_for_requests(1)
        delivering.delivery.stop(PATIENCE_SECONDS)
        assert not delivering.delivery._thread.is_alive()
        assert delivering.sums() == Sums(pending=3)


# --- what is left from before


def test_of_what_was_left_by_others_settings_a_delivery_is_made(tmp_path: Path, receiver: Receiver) -> None:
    with Delivering(tmp_path, receiver, signal=TelemetrySignal.LOGS) as before:
        before.posts(range(2))
    exporting = OtelConfig(
        {signal: OtlpEndpoint(f"{receiver.url}/v1/{signal}") for signal in TelemetrySignal}
    )
    with closing(Store(before.path)) as store:
        made = build_workers(TraceSettings(), exporting, store, MetricState({}))
    assert [each.signal for each in made] == [TelemetrySignal.TRACES, TelemetrySignal.LOGS]


# --- whatever it answers


@given(
    st.lists(st.sampled_from([*FAULTS, "takes it", "json"]), max_size=7),
    st.lists(st.sampled_from(["post", "restart"]), max_size=6),
    st.integers(1, 9),
)
@settings(max_examples=25)
def test_whatever_a_collector_answers_before_it_takes_all_every_span_arrives_and_is_counted_once(
    answers: list[str], happens: list[str], first: int
) -> None:
    replies = {**FAULTS, "takes it": OK, "json": json_ok()}
    posted = first
    with tempfile.TemporaryDirectory() as directory, Receiver() as receiver:
        receiver.replies(*(replies[answer] for answer in answers))
        stack = ExitStack()
        with stack:
            delivering = stack.enter_context(Delivering(Path(directory), collector(receiver, SHORT_SECONDS)))
            delivering.posts(range(first)).start()
            for what in happens:
                if what == "post":
                    delivering.posts([posted])
                    posted += 1
                else:
                    stack.close()
                    delivering = stack.enter_context(
                        Delivering(Path(directory), collector(receiver, SHORT_SECONDS))
                    ).start()
            assert delivering.come_to(Sums(exported=posted))
        assert set(ids(receiver.spans)) == set(span_ids(range(posted)))
