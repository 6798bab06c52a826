"""Delivery: every entry of the outbox is exported or counted, whatever the collector answers."""

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
from exporter.metrics.state import MetricState
from exporter.metrics.update import MetricUpdate
from exporter.model import TelemetrySignal, Trace
from exporter.otlp import outbox_queue, outbox_worker
from exporter.otlp.client import Accepted, ExportResult
from exporter.otlp.config import OtelConfig
from exporter.otlp.encoding import ExportRequest
from exporter.otlp.endpoint import OtlpEndpoint
from exporter.otlp.factory import build_workers
from exporter.otlp.outbox_worker import MAX_SUSPECTS, SUSPECT_AFTER, Backoff
from exporter.store import Store
from tests.contract.outbox_driver import (
    LIMITS,
    WAIT_SECONDS,
    Counts,
    OutboxDriver,
    failed,
    http_client,
    job_id,
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

TRACES, LOGS = TelemetrySignal.TRACES, TelemetrySignal.LOGS
LONG = Backoff(first=600, longest=600)
SHORT_SECONDS = 0.1
"""Timeout for a collector that does not answer."""
SILENT = ("hangs", "drips")
FAULTS = {
    "429 with Retry-After": status(429, retry_after=0),
    "500": status(500),
    "503": status(503),
    "503 with an invalid Retry-After": status(503, retry_after="soon"),
    "401": status(401),
    "redirect": redirect("/elsewhere"),
    "a page": html(),
    "reset": reset(),
    "reset after keeping": reset_after_keeping(),
    "hangs": hang(),
    "drips": slow_drip(),
}
REJECTED = "job rejected, set aside until the next start"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that accepts everything."""
    with Receiver() as running:
        yield running


def numbers_of(spans: Iterable[ReceivedSpan]) -> list[int]:
    """Return the jobs of spans by their numbers, in the order of the spans."""
    return [int(span.attributes["container.name"].removeprefix("job-")) for span in spans]


def seconds_for(fault: str) -> float:
    """Return the timeout for a fault: short if no answer comes."""
    return SHORT_SECONDS if fault in SILENT else WAIT_SECONDS


def fail_for(receiver: Receiver, reply: Reply, *bad: int) -> None:
    """Let a receiver reply this to every request with one of these jobs, and accept the others."""
    receiver.otherwise(lambda spans: reply if set(bad).intersection(numbers_of(spans)) else OK)


def logged(entries: Iterable[Mapping[str, Any]], *levels: str) -> list[dict[str, Any]]:
    """Return the log entries of these levels, without that of the start."""
    return [dict(each) for each in entries if each["log_level"] in levels and each["event"] != "exporting"]


# A collector that works


def test_the_outbox_is_exported_in_batches_the_oldest_first(tmp_path: Path, receiver: Receiver) -> None:
    numbers = range(1200, 0, -1)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*numbers).start()
        assert driver.reaches(exported=1200)
    assert numbers_of(receiver.spans) == list(numbers)
    assert [request.spans for request in receiver.requests] == [512, 512, 176]


def test_new_entries_are_exported_at_once(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        for number in range(5):
            driver.enqueue(number)
            assert driver.reaches(exported=number + 1)
    assert numbers_of(receiver.spans) == list(range(5))


def test_entries_of_several_threads_are_all_exported(tmp_path: Path, receiver: Receiver) -> None:
    def enqueue(first: int) -> None:
        for number in range(first, first + 25):
            driver.enqueue(number)

    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        threads = [threading.Thread(target=enqueue, args=(first,)) for first in (0, 25, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert driver.reaches(exported=75)
    assert sorted(numbers_of(receiver.spans)) == list(range(75))


def test_from_the_start_the_series_have_the_stored_values(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as before:
        before.enqueue(*range(3)).start()
        assert before.reaches(exported=3)
        receiver.stop()
        before.enqueue(3)
    with OutboxDriver(tmp_path, receiver, LONG) as after:
        after.start()
        assert after.state.snapshot() == {
            ("exit_exporter_otlp_pending_jobs", ("traces",)): 1,
            ("exit_exporter_otlp_jobs_exported_total", ("traces",)): 3,
            ("exit_exporter_otlp_jobs_rejected_total", ("traces",)): 0,
            ("exit_exporter_otlp_jobs_dropped_total", ("traces",)): 0,
        }


def test_the_worker_leaves_nothing_for_the_pipeline_to_store(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        assert driver.state.values_to_store(MetricUpdate()) == {}
        driver.enqueue(*range(3))
        assert driver.reaches(exported=3)
        assert driver.state.values_to_store(MetricUpdate()) == {}


def test_the_start_is_logged(tmp_path: Path, receiver: Receiver) -> None:
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
    url = f"{receiver.url}/v1/traces"
    assert log == [{"event": "exporting", "signal": "traces", "to": url, "log_level": "info"}]


def test_one_signal_is_exported_while_the_other_fails(tmp_path: Path) -> None:
    with Receiver() as bad, Receiver() as good, ExitStack() as stack:
        bad.otherwise(status(503))
        endpoints = {
            TRACES: OtlpEndpoint(f"{bad.url}/v1/traces"),
            LOGS: OtlpEndpoint(f"{good.url}/v1/logs"),
        }
        with OutboxDriver(tmp_path, good) as driver:
            driver.signal = LOGS
            driver.enqueue(*range(3))
            driver.signal = TRACES
            driver.enqueue(*range(3))
            for worker in build_workers(TraceSettings(), OtelConfig(endpoints), driver.store, driver.state):
                worker.start()
                stack.callback(worker.stop, WAIT_SECONDS)
            bad.wait_for_requests(1)
            assert driver.counts() == Counts(pending=3)
            driver.signal = LOGS
            assert driver.reaches(exported=3)
            stack.close()
        assert {record.attributes["container.name"] for record in good.records} == {"job-0", "job-1", "job-2"}


def test_a_log_record_was_observed_when_its_job_was_recorded_however_late_it_is_sent(
    tmp_path: Path, receiver: Receiver
) -> None:
    begin_ns = time.time_ns()
    with OutboxDriver(tmp_path, receiver, signal=LOGS) as before:
        before.enqueue(1)
    recorded_ns = time.time_ns()
    receiver.replies(status(503))
    with OutboxDriver(tmp_path, receiver, signal=LOGS) as after:
        after.start()
        assert after.reaches(exported=1)
    (observed_ns,) = {record.observed_ns for record in receiver.records}
    assert begin_ns <= observed_ns <= recorded_ns


def test_log_records_wait_until_the_collector_has_a_pipeline_for_logs(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.otherwise(status(404))
    with capture_logs() as log, OutboxDriver(tmp_path, receiver, signal=LOGS) as driver:
        driver.enqueue(1).start()
        receiver.wait_for_requests(3)
        assert driver.counts() == Counts(pending=1)
        receiver.otherwise(OK)
        assert driver.reaches(exported=1)
    (entry,) = logged(log, "warning")
    assert "the collector has no pipeline for logs: add one to its configuration" in entry["cause"]
    assert {record.event_name for record in receiver.records} == {"container.start", "container.exit"}


def test_a_signal_with_entries_left_is_exported(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver, signal=LOGS) as before:
        before.enqueue(*range(2))
    endpoints = {signal: OtlpEndpoint(f"{receiver.url}/v1/{signal}") for signal in TelemetrySignal}
    with closing(Store(before.path)) as store:
        workers = build_workers(TraceSettings(), OtelConfig(endpoints), store, MetricState({}))
    assert [worker.signal for worker in workers] == [TRACES, LOGS]


# A collector that is unavailable


def test_an_outage_and_its_end_are_logged_once(tmp_path: Path, receiver: Receiver) -> None:
    receiver.stop()
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(40)).start()
        assert wait_until(lambda: len(logged(log, "debug")) > 3, WAIT_SECONDS)
        driver.enqueue(*range(40, 50))
        assert driver.counts() == Counts(pending=50)
        receiver.start()
        assert driver.reaches(exported=50)
    assert sorted(numbers_of(receiver.spans)) == list(range(50))
    assert logged(log, "info", "warning") == [
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
def test_after_a_retryable_failure_nothing_is_lost(tmp_path: Path, receiver: Receiver, fault: str) -> None:
    receiver.replies(*[FAULTS[fault]] * 3)
    with OutboxDriver(tmp_path, http_client(receiver, seconds_for(fault))) as driver:
        driver.enqueue(*range(40)).start()
        assert driver.reaches(exported=40)
    assert set(numbers_of(receiver.spans)) == set(range(40))
    if fault not in {"reset after keeping", *SILENT}:
        assert numbers_of(receiver.spans) == list(range(40))


def test_retry_after_is_respected(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies(status(429, retry_after=1))
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(2)).start()
        receiver.wait_for_requests(1)
        driver.enqueue(2)
        assert driver.reaches(exported=3)
    first, second = receiver.requests[:2]
    assert second.moment - first.moment >= 1


def test_retry_after_has_a_maximum(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_worker, "MAX_RETRY_SECONDS", 0.05)
    receiver.replies(status(503, retry_after=10**9))
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(1).start()
        assert driver.reaches(exported=1)


def test_new_entries_do_not_end_a_pause(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with OutboxDriver(tmp_path, receiver, LONG) as driver:
        driver.start()
        for number in range(30):
            driver.enqueue(number)
        receiver.wait_for_requests(1)
        driver.enqueue(30).worker.stop(WAIT_SECONDS)
        assert driver.counts() == Counts(pending=31)
    assert len(receiver.requests) == 1


def test_batches_shrink_at_failures_and_grow_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies(status(500), status(500), status(500))
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(1000)).start()
        assert driver.reaches(exported=1000)
    sizes = [request.spans for request in receiver.requests]
    assert sizes == [512, 256, 128, 64, 128, 256, 512, 40]


# Rejected jobs


@pytest.mark.parametrize("bad", [0, 511, 700])
def test_a_rejected_job_is_set_aside_and_stops_no_other(tmp_path: Path, receiver: Receiver, bad: int) -> None:
    fail_for(receiver, status(400), bad)
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(1000)).start()
        assert driver.reaches(exported=999, rejected=1)
        with closing(sqlite3.connect(driver.path)) as connection:
            left = connection.execute("SELECT job_id, aside, refused FROM outbox").fetchall()
    assert numbers_of(receiver.spans) == [number for number in range(1000) if number != bad]
    cause = "HTTP 400: scripted failure"
    assert left == [(job_id(bad), 1, cause)]
    entry = {"event": REJECTED, "signal": "traces", "job": job_id(bad), "cause": cause}
    assert logged(log, "debug", "info", "warning", "error") == [{**entry, "log_level": "warning"}]
    assert len(receiver.requests) < 40


def test_several_rejected_jobs_are_each_set_aside(tmp_path: Path, receiver: Receiver) -> None:
    bad = (0, 1, 17, 50, 98, 99)
    fail_for(receiver, status(400), *bad)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(100)).start()
        assert driver.reaches(exported=94, rejected=6)
    assert numbers_of(receiver.spans) == [number for number in range(100) if number not in bad]


def test_a_job_rejected_after_every_restart_is_counted_once(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(400), 3)
    for runs in range(1, 4):
        requests = len(receiver.requests)
        with OutboxDriver(tmp_path, receiver) as driver:
            assert driver.store.outbox.count_pending(TRACES) == int(runs > 1)
            if runs == 1:
                driver.enqueue(3)
            driver.enqueue(*range(10 * runs, 10 * runs + 4)).start()
            assert driver.reaches(exported=4 * runs, rejected=1)
        assert len(receiver.requests) > requests + 1


def test_a_rejected_job_may_be_accepted_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(400), 3)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(5)).start()
        assert driver.reaches(exported=4, rejected=1)
    receiver.otherwise(OK)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        assert driver.reaches(exported=5, rejected=1)
    assert numbers_of(receiver.spans) == [0, 1, 2, 4, 3]


def test_a_collector_that_rejects_everything_is_asked_slowly(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(400))
    with capture_logs() as log, OutboxDriver(tmp_path, receiver, LONG) as driver:
        driver.enqueue(*range(100)).start()
        assert driver.reaches(pending=89, rejected=11)
        driver.worker.stop(WAIT_SECONDS)
        assert driver.counts() == Counts(pending=89, rejected=11)
        # The newest was tried, too: it might have been accepted.
        assert driver.waiting() == [job_id(number) for number in range(10, 99)]
    warnings = [entry["event"] for entry in logged(log, "warning")]
    assert warnings == [*[REJECTED] * 11, "collector rejects everything, slowing down"]
    receiver.otherwise(OK)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        assert driver.reaches(exported=100, rejected=11)


def test_many_rejected_jobs_in_a_row_do_not_stop_the_others(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(400), *range(40))
    with OutboxDriver(tmp_path, receiver, LONG) as driver:
        driver.enqueue(*range(140)).start()
        assert driver.reaches(exported=100, rejected=40)


def test_a_partial_success_is_counted_and_not_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies(partial(3, "too old"))
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(10)).start()
        assert driver.reaches(exported=7, rejected=3)
        driver.enqueue(10)
        assert driver.reaches(exported=8, rejected=3)
    assert [request.spans for request in receiver.requests] == [10, 1]
    event = "collector accepted with a message"
    entry = {"event": event, "signal": "traces", "rejected": 3, "message": "too old"}
    assert logged(log, "debug", "info", "warning") == [{**entry, "log_level": "warning"}]


@pytest.mark.parametrize(("rejected", "counted"), [(0, 0), (10, 10), (99, 10), (-1, 0)])
def test_no_more_are_rejected_than_were_sent(
    tmp_path: Path, receiver: Receiver, rejected: int, counted: int
) -> None:
    receiver.replies(partial(rejected, "a warning"))
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(10)).start()
        assert driver.reaches(exported=10 - counted, rejected=counted)
    assert len(receiver.requests) == 1


# Jobs at which a collector fails


@pytest.mark.parametrize(("fault", "bad"), [("500", 0), ("500", 50), ("reset", 99), ("hangs", 50)])
def test_a_job_at_which_a_collector_fails_stops_no_other(
    tmp_path: Path, receiver: Receiver, fault: str, bad: int
) -> None:
    fail_for(receiver, FAULTS[fault], bad)
    with OutboxDriver(tmp_path, http_client(receiver, seconds_for(fault))) as driver:
        driver.enqueue(*range(100)).start()
        assert driver.reaches(pending=1, exported=99)
        driver.enqueue(*range(100, 120))
        assert driver.reaches(pending=1, exported=119)
        assert driver.waiting() == [job_id(bad)]
        assert set(numbers_of(receiver.spans)) == set(range(120)) - {bad}
        receiver.otherwise(OK)
        assert driver.reaches(exported=120)
    numbers = numbers_of(receiver.spans)
    assert numbers[-1] == bad
    assert fault in SILENT or sorted(numbers) == list(range(120))


def test_new_jobs_do_not_wait_for_one_that_always_fails(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(500), 0)
    with OutboxDriver(tmp_path, receiver, Backoff(first=0.2, longest=600)) as driver:
        driver.enqueue(0).start()
        assert wait_until(lambda: driver.worker._waits_for_suspect, WAIT_SECONDS)
        driver.enqueue(1)
        assert driver.reaches(pending=1, exported=1)


def test_if_everything_fails_only_a_few_are_suspects(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(40)).start()
        receiver.wait_for_requests(SUSPECT_AFTER * (MAX_SUSPECTS + 10))
        assert len(driver.worker._suspects) <= MAX_SUSPECTS
        receiver.otherwise(OK)
        assert driver.reaches(exported=40)
        assert driver.worker._suspects == []


def test_several_suspects_are_tried_in_turns(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(500), 0, 1, 2, 30)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(40)).start()
        assert driver.reaches(pending=4, exported=36)
        fail_for(receiver, status(500), 0, 1, 2)
        assert driver.reaches(pending=3, exported=37)
        receiver.otherwise(OK)
        assert driver.reaches(exported=40)
    assert sorted(numbers_of(receiver.spans)) == list(range(40))


# Faults of the exporter


def test_a_job_that_cannot_be_encoded_is_set_aside(tmp_path: Path, receiver: Receiver) -> None:
    bad = replace(failed(2), trace=Trace("no trace id", "1" * 16))
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue_exits([failed(1), bad, failed(3)]).start()
        assert driver.reaches(exported=2, rejected=1)
    assert numbers_of(receiver.spans) == [1, 3]
    (entry,) = logged(log, "debug", "warning", "error")
    assert (entry["event"], entry["job"]) == (REJECTED, job_id(2))
    assert entry["cause"].startswith("cannot be encoded: ValueError(")


def test_without_any_encoded_job_nothing_is_sent(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue_exits(replace(failed(number), trace=None) for number in range(5)).start()
        assert driver.reaches(rejected=5)
    assert receiver.requests == []


def test_a_deleted_job_is_dropped(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(3))
        with closing(sqlite3.connect(driver.path)) as connection, connection:
            connection.execute("DELETE FROM jobs WHERE name = 'job-1'")
        driver.start()
        assert driver.reaches(exported=2, dropped=1)
    assert numbers_of(receiver.spans) == [0, 2]


class FaultyClient:
    """Client with a bug, which raises at its first calls."""

    address = "nowhere"

    def __init__(self, errors: int) -> None:
        self._errors_left = errors

    def send(self, request: ExportRequest) -> ExportResult:
        """Raise, or accept the request."""
        self._errors_left -= 1
        if self._errors_left >= 0:
            raise ZeroDivisionError(request.items)
        return Accepted()

    def close(self) -> None:
        """Do nothing."""


def test_a_bug_is_logged_and_does_not_end_the_export(tmp_path: Path) -> None:
    with capture_logs() as log, OutboxDriver(tmp_path, FaultyClient(2)) as driver:
        driver.enqueue(*range(3)).start()
        assert driver.reaches(exported=3)
    assert [entry["event"] for entry in logged(log, "error")] == ["unexpected error while sending"] * 2


# Limits


def test_above_the_limit_the_oldest_are_dropped_in_portions(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "MAX_DROPPED_AT_ONCE", 7)
    limits = replace(LIMITS, entries=10)
    with capture_logs() as log, OutboxDriver(tmp_path, receiver, limits=limits) as driver:
        driver.enqueue(*range(25)).start()
        assert driver.reaches(exported=10, dropped=15)
    assert numbers_of(receiver.spans) == list(range(15, 25))
    dropped = [entry for entry in log if entry["event"] == "jobs dropped unsent: too old or too many"]
    assert [entry["count"] for entry in dropped] == [7, 7, 1]


def test_the_limit_holds_during_an_outage(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    receiver.otherwise(status(503))
    with OutboxDriver(tmp_path, receiver, LONG, limits=replace(LIMITS, entries=10)) as driver:
        driver.start()
        for number in range(5):
            driver.enqueue(*range(number * 6, number * 6 + 6))
        assert driver.reaches(pending=10, dropped=20)
        assert driver.waiting() == [job_id(number) for number in range(20, 30)]


def test_the_limit_holds_for_entries_added_right_after_a_check(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with OutboxDriver(tmp_path, receiver, LONG, limits=replace(LIMITS, entries=10)) as driver:
        driver.enqueue(*range(10)).start()
        receiver.wait_for_requests(1)
        driver.enqueue(*range(10, 60))
        assert driver.reaches(pending=10, dropped=50)
        assert driver.waiting() == [job_id(number) for number in range(50, 60)]


@pytest.mark.parametrize(("seconds", "dropped"), [(3600, 3), (0, 0)])
def test_entries_that_are_too_old_are_dropped(
    tmp_path: Path, receiver: Receiver, seconds: int, dropped: int
) -> None:
    with OutboxDriver(tmp_path, receiver, limits=replace(LIMITS, seconds=seconds)) as driver:
        driver.enqueue(*range(8))
        age = "UPDATE outbox SET kept_ns = kept_ns - ? * 1000000000 WHERE number BETWEEN ? AND ?"
        with closing(sqlite3.connect(driver.path)) as connection, connection:
            connection.executemany(age, [(3600, 1, 3), (3000, 4, 4)])
        driver.start()
        assert driver.reaches(exported=8 - dropped, dropped=dropped)
    assert numbers_of(receiver.spans) == list(range(dropped, 8))


def test_dead_letters_count_for_the_limit_and_not_as_dropped(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    fail_for(receiver, status(400), 0, 1)
    with OutboxDriver(tmp_path, receiver, limits=replace(LIMITS, entries=3)) as driver:
        driver.enqueue(*range(3)).start()
        assert driver.reaches(exported=1, rejected=2)
        receiver.otherwise(status(503))
        driver.enqueue(3, 4)
        assert wait_until(lambda: len(driver.store.outbox.expired(TRACES, 0, 0, 9)) == 3, WAIT_SECONDS)
        assert driver.counts() == Counts(pending=2, exported=1, rejected=2)


def test_a_request_is_larger_than_the_limit_only_for_one_job(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit, framing = 20_000, 500
    monkeypatch.setattr(outbox_worker, "MAX_BYTES", limit)
    exits = [failed(number, log_tail="x" * 3500) for number in range(40)]
    exits[20] = failed(20, log_tail="x" * 50_000)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue_exits(exits).start()
        assert driver.reaches(exported=40)
    assert numbers_of(receiver.spans) == list(range(40))
    large = [request for request in receiver.requests if request.size > limit + framing]
    assert [(request.spans, request.size > 50_000) for request in large] == [(1, True)]
    # As few requests as possible: four of the others fit into one.
    assert [request.spans for request in receiver.requests] == [*[4] * 5, 1, *[4] * 4, 3]


# A store that fails


@pytest.mark.parametrize("when", ["BEFORE DELETE ON outbox", "BEFORE INSERT ON series"])
def test_an_acceptance_that_cannot_be_recorded_is_recorded_later(
    tmp_path: Path, receiver: Receiver, when: str
) -> None:
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(5))
        with trigger(driver.path, when, "ABORT"):
            driver.start()
            receiver.wait_for_requests(1)
            assert wait_until(lambda: bool(logged(log, "warning")), WAIT_SECONDS)
            assert driver.store.outbox.count_pending(TRACES) == 5
        assert driver.reaches(exported=5)
    assert numbers_of(receiver.spans) == list(range(5))
    assert logged(log, "warning") == [
        {
            "event": "outbox unavailable, will retry",
            "signal": "traces",
            "collector": f"{receiver.url}/v1/traces",
            "cause": f"{driver.path}: not today",
            "log_level": "warning",
        }
    ]


def test_an_acceptance_lost_in_a_crash_is_sent_again_with_the_same_ids(
    tmp_path: Path, receiver: Receiver
) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(5))
        with trigger(driver.path, "BEFORE DELETE ON outbox", "ABORT"):
            driver.start()
            receiver.wait_for_requests(1)
            driver.worker.stop(WAIT_SECONDS)
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.start()
        assert driver.reaches(exported=5)
    assert numbers_of(receiver.spans) == [*range(5), *range(5)]
    assert set(Counter(span.span_id for span in receiver.spans).values()) == {2}


def test_a_rejection_that_cannot_be_recorded_is_recorded_later(tmp_path: Path, receiver: Receiver) -> None:
    fail_for(receiver, status(400), 1)
    with capture_logs() as log, OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(3))
        with trigger(driver.path, "BEFORE UPDATE ON outbox", "ABORT"):
            driver.start()
            assert wait_until(
                lambda: any("outbox" in entry["event"] for entry in logged(log, "warning")), WAIT_SECONDS
            )
        assert driver.reaches(exported=2, rejected=1)
    assert numbers_of(receiver.spans) == [0, 2]


def test_a_drop_that_cannot_be_recorded_is_recorded_later(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_queue, "CHECK_SECONDS", 0)
    limits = replace(LIMITS, entries=2)
    with capture_logs() as log, OutboxDriver(tmp_path, receiver, limits=limits) as driver:
        driver.enqueue(*range(5))
        with trigger(driver.path, "BEFORE DELETE ON outbox", "ABORT"):
            driver.start()
            assert wait_until(lambda: len(logged(log, "debug")) > 2, WAIT_SECONDS)
            assert driver.counts() == Counts(pending=5)
        assert driver.reaches(exported=2, dropped=3)


# Stopping


def test_stopping_exports_first_what_can_be_exported(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(1300)).start()
        driver.worker.stop(WAIT_SECONDS)
        assert driver.counts() == Counts(exported=1300)


def test_stopping_exports_what_was_added_just_before(tmp_path: Path, receiver: Receiver) -> None:
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(0).start()
        assert driver.reaches(exported=1)
        driver.enqueue(1).worker.stop(WAIT_SECONDS)
        assert driver.counts() == Counts(exported=2)


def test_stopping_does_not_wait_for_a_collector_that_hangs(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(hang())
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(3)).start()
        receiver.wait_for_requests(1)
        begin = time.monotonic()
        driver.worker.stop(0.2)
        assert 0.1 < time.monotonic() - begin < 2
        assert driver.counts() == Counts(pending=3)
        receiver.stop()
    receiver.otherwise(OK)
    receiver.start()
    with OutboxDriver(tmp_path, receiver) as after:
        after.start()
        assert after.reaches(exported=3)
    assert numbers_of(receiver.spans) == list(range(3))


def test_an_acceptance_after_the_store_is_closed_is_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies(hang())
    with OutboxDriver(tmp_path, receiver) as driver:
        driver.enqueue(*range(3)).start()
        receiver.wait_for_requests(1)
        driver.worker.stop(0)
        driver.store.close()
        receiver.release()
        receiver.wait_for_spans(3)
        assert wait_until(lambda: not driver.worker._thread.is_alive(), WAIT_SECONDS)
    with OutboxDriver(tmp_path, receiver) as after:
        after.start()
        assert after.reaches(exported=3)
    assert numbers_of(receiver.spans) == [*range(3), *range(3)]


def test_stopping_ends_a_pause(tmp_path: Path, receiver: Receiver) -> None:
    receiver.otherwise(status(503))
    with OutboxDriver(tmp_path, receiver, LONG) as driver:
        driver.enqueue(*range(3)).start()
        receiver.wait_for_requests(1)
        driver.worker.stop(WAIT_SECONDS)
        assert not driver.worker._thread.is_alive()
        assert driver.counts() == Counts(pending=3)


# Any answers


@given(
    st.lists(st.sampled_from([*FAULTS, "accepts", "json"]), max_size=7),
    st.lists(st.sampled_from(["enqueue", "restart"]), max_size=6),
    st.integers(1, 9),
)
@settings(max_examples=25)
def test_after_any_answers_every_job_is_exported_and_counted_once(
    answers: list[str], steps: list[str], first: int
) -> None:
    replies = {**FAULTS, "accepts": OK, "json": json_ok()}
    count = first
    with tempfile.TemporaryDirectory() as directory, Receiver() as receiver, ExitStack() as stack:
        receiver.replies(*(replies[answer] for answer in answers))

        def new_driver() -> OutboxDriver:
            return stack.enter_context(OutboxDriver(Path(directory), http_client(receiver, SHORT_SECONDS)))

        driver = new_driver().enqueue(*range(first)).start()
        for step in steps:
            if step == "enqueue":
                driver.enqueue(count)
                count += 1
            else:
                stack.close()
                driver = new_driver().start()
        assert driver.reaches(exported=count)
        stack.close()
        assert set(numbers_of(receiver.spans)) == set(range(count))
