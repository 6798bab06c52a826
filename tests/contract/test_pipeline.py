"""What the pipeline shows and when: nothing before it is durable, everything once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
import structlog
from starlette.requests import Request

from exporter.config.settings import TracedJobs
from exporter.metrics import definitions as metrics
from exporter.metrics.state import Exemplar
from exporter.model import Cursor, JobRecord, SeriesKey, TelemetrySignal, Trace
from exporter.otlp.sampler import Sampler, TraceSelector
from exporter.otlp.trace_context import span_ids_for
from exporter.pipeline import classifier, loop, recorder, records
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType, KernelReport
from exporter.sources.docker.messages import (
    EventReceived,
    Inspected,
    LogCollected,
    WatchMessage,
)
from exporter.sources.docker.track.job import job_key
from exporter.sources.source import Disconnected
from exporter.web.admin import AdminRoutes
from exporter.web.problems import ProblemError
from tests.contract.engines import identity
from tests.contract.piping import ADDRESS, CONNECTED, FULL, OTHER_ADDRESS, PATIENCE_SECONDS, Piping
from tests.contract.tracker_driver import (
    HOST,
    A,
    B,
    C,
    at,
    create,
    destroy,
    die,
    exited,
    job,
    kill,
    oom,
    running,
    start,
)
from tests.lab.wait import wait_until

JOB = (HOST, "job", "job")
COMPLETED = (*JOB, "done", "0", "Completed")
OOM_KILLED = (*JOB, "failed", "137", "OOMKilled")
ERROR = (*JOB, "failed", "1", "Error")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again at once."""
    for module in (recorder, records):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(loop, "IDLE_SECONDS", 0.01)


@pytest.fixture
def piping(tmp_path: Path) -> Iterator[Piping]:
    """A pipeline that runs and whose engine is there."""
    with Piping(tmp_path) as begun:
        begun.connects()
        assert begun.is_ready()
        yield begun


def about_jobs(series: dict[SeriesKey, float]) -> dict[SeriesKey, float]:
    """Those of the series that are about jobs."""
    return {key: value for key, value in series.items() if key[0].startswith("container_")}


# --- durable first


def test_nothing_of_a_job_is_visible_before_it_is_durable(tmp_path: Path) -> None:
    seen: list[dict[SeriesKey, float]] = []
    with Piping(tmp_path) as piping:
        piping.store.before_commit = lambda: seen.append(about_jobs(piping.metric_state.snapshot()))
        piping.connects().sees(start(0), oom(0.9), die(1, 137))
        assert piping.ended(1)
    assert seen[0] == {}
    assert piping.series(metrics.EXITS) == {COMPLETED: 0, OOM_KILLED: 1}


def test_what_is_visible_of_jobs_is_what_is_durable(piping: Piping) -> None:
    piping.sees(start(0), oom(0.9), die(1, 137), start(2), die(3, 0))
    shown = {COMPLETED: 1, OOM_KILLED: 1}
    assert wait_until(lambda: piping.series(metrics.EXITS) == shown, PATIENCE_SECONDS)
    for metric in (metrics.EXITS, metrics.OOM_KILLS, metrics.RUN_DURATION, metrics.LAST_EXIT):
        assert (metric.name, piping.series(metric)) == (metric.name, piping.durable(metric))


def test_a_job_that_begins_makes_the_series_of_its_likeliest_ends_at_0(piping: Piping) -> None:
    piping.sees(start(0))
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 1}, PATIENCE_SECONDS)
    assert about_jobs(piping.metric_state.snapshot()) == {
        (metrics.JOBS_RUNNING.name, JOB[:2]): 1,
        (metrics.OOM_KILLS.name, JOB): 0,
        (metrics.RESTARTS.name, JOB): 0,
        (metrics.EXITS.name, COMPLETED): 0,
        (metrics.EXITS.name, OOM_KILLED): 0,
    }


def test_a_job_runs_until_it_has_ended(piping: Piping) -> None:
    piping.sees(start(0), start(0, B))
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 2}, PATIENCE_SECONDS)
    piping.sees(die(1, 0))
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 1}, PATIENCE_SECONDS)


def test_a_renamed_job_is_still_one(piping: Piping) -> None:
    renamed = Event(EventType.RENAME, A, at(0.5), "new", "job:1")
    piping.sees(start(0), renamed)
    assert wait_until(
        lambda: (
            [record.job for record in piping.store.records()]
            == [replace(job(0, named="new"), engine=ADDRESS)]
        ),
        PATIENCE_SECONDS,
    )
    assert piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 1}


def test_many_exits_share_a_commit(tmp_path: Path) -> None:
    piping = Piping(tmp_path).connects()
    for number in range(2500):
        container = identity(number)
        piping.sees(start(number, container), die(number + 1, 0, container))
    with piping:
        assert wait_until(lambda: piping.metric_state.value(metrics.EXITS, COMPLETED) == 2500, 60)
    sizes = [len(batch.ended) for batch in piping.store.batches if batch.ended]
    assert (sizes, piping.series(metrics.EXITS)) == (
        [499, *[500] * 4, 1],
        {COMPLETED: 2500, OOM_KILLED: 0},
    )


def test_after_a_restart_counters_go_on_and_what_ran_runs(tmp_path: Path) -> None:
    with Piping(tmp_path) as before:
        before.connects().sees(start(0), die(1, 0), start(2))
        assert before.ended(1)
    with Piping(tmp_path) as after:
        assert (after.series(metrics.EXITS), after.series(metrics.JOBS_RUNNING)) == (
            {COMPLETED: 1, OOM_KILLED: 0},
            {JOB[:2]: 1},
        )
        after.says(CONNECTED, ContainerList((running(1.997),), at(10))).sees(die(11, 0))
        assert after.ended(2)
    assert (after.series(metrics.EXITS), after.series(metrics.JOBS_RUNNING)) == (
        {COMPLETED: 2, OOM_KILLED: 0},
        {JOB[:2]: 0},
    )


# --- a store that refuses


def test_what_the_store_refuses_is_kept_and_committed_once_when_it_takes_it_again(piping: Piping) -> None:
    piping.store.refuses_commits = True
    piping.sees(start(0), die(1, 0), start(2), die(3, 1))
    assert wait_until(lambda: piping.store.refusals > 5, PATIENCE_SECONDS)
    assert (piping.store.records(), about_jobs(piping.metric_state.snapshot()), piping.health.problems()) == (
        [],
        {},
        {"store": FULL},
    )
    piping.sees(start(4), die(5, 0))
    piping.store.refuses_commits = False
    assert piping.ended(3)
    assert piping.is_ready()
    codes = [record.ended and record.ended.exit.code for record in piping.store.records()]
    assert (codes, piping.series(metrics.EXITS), piping.durable(metrics.EXITS)) == (
        [0, 1, 0],
        {COMPLETED: 2, OOM_KILLED: 0, ERROR: 1},
        {COMPLETED: 2, OOM_KILLED: 0, ERROR: 1},
    )


def test_every_refusal_is_counted_and_visible_at_once(piping: Piping) -> None:
    piping.store.refuses_commits = True
    piping.sees(start(0))
    assert wait_until(lambda: piping.store.refusals > 2, PATIENCE_SECONDS)
    assert wait_until(lambda: piping.metric_state.value(metrics.STORE_ERRORS) > 2, PATIENCE_SECONDS)
    piping.store.refuses_commits = False
    assert wait_until(lambda: bool(piping.store.records()), PATIENCE_SECONDS)
    piping.pipeline.stop(PATIENCE_SECONDS)
    counted = piping.series(metrics.STORE_ERRORS)
    assert (counted, piping.durable(metrics.STORE_ERRORS)) == ({(): piping.store.refusals}, counted)


def test_an_exit_is_not_judged_before_the_store_has_told_what_is_on_record(piping: Piping) -> None:
    piping.sees(start(0), die(1, 0))
    assert piping.ended(1)
    piping.store.refuses_questions = True
    piping.sees(start(2, B), die(3, 0, B))
    assert wait_until(lambda: piping.store.refusals > 5, PATIENCE_SECONDS)
    assert (len(piping.store.records()), piping.health.problems()) == (1, {"store": FULL})
    piping.store.refuses_questions = False
    assert piping.ended(2)


def test_the_store_is_well_again_once_it_answers(piping: Piping) -> None:
    piping.store.refuses_questions = True
    # Of a container that was made before we came; there is nothing to commit about it.
    piping.sees(Event(EventType.RENAME, A, at(0), "new", "job:1"))
    assert wait_until(lambda: piping.store.refusals > 2, PATIENCE_SECONDS)
    piping.store.refuses_questions = False
    assert piping.is_ready()


def test_an_answer_of_the_store_does_not_hide_that_it_refuses_commits(piping: Piping) -> None:
    piping.store.refuses_commits = True
    piping.sees(start(0))
    assert wait_until(lambda: piping.store.refusals > 0, PATIENCE_SECONDS)
    piping.sees(start(0, B))
    assert piping.idle()
    refused = piping.store.refusals
    assert wait_until(lambda: piping.store.refusals > refused, PATIENCE_SECONDS)
    assert piping.health.problems() == {"store": FULL}


# --- stopping


def test_stopping_records_all_that_was_read(tmp_path: Path) -> None:
    piping = Piping(tmp_path).connects()
    for number in range(1500):
        container = identity(number)
        piping.sees(start(number, container), die(number + 1, 0, container))
    with piping:
        assert piping.pipeline.stop(PATIENCE_SECONDS)
        assert len(piping.store.records()) == 1500


def test_stopping_records_what_still_waits_for_a_late_report(tmp_path: Path) -> None:
    with Piping(tmp_path, oom_seconds=3600) as piping:
        piping.connects().sees(start(0), die(1, 1), destroy(1.1))
        assert piping.pipeline.stop(PATIENCE_SECONDS)
        codes = [record.ended and record.ended.exit.code for record in piping.store.records()]
    assert codes == [1]


def test_stopping_while_the_store_refuses_says_so(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as said, Piping(tmp_path) as piping:
        piping.store.refuses_commits = True
        piping.connects().sees(start(0), die(1, 0))
        assert not piping.pipeline.stop(PATIENCE_SECONDS)
    assert said[-1] == {
        "event": "stopping with exits that the store did not take",
        "exits": 1,
        "log_level": "error",
    }


def test_stopping_while_the_store_does_not_answer_does_not_hang(tmp_path: Path) -> None:
    with Piping(tmp_path) as piping:
        piping.store.refuses_questions = True
        piping.connects()
        assert wait_until(lambda: piping.store.refusals > 0, PATIENCE_SECONDS)
        piping.pipeline.stop(PATIENCE_SECONDS)
        assert not piping.pipeline.alive


# --- a bug


class BugError(Exception):
    """What no code expects."""


def test_a_bug_ends_the_pipeline_calls_for_the_end_of_all_and_is_unhealthy(
    piping: Piping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def classify(*_: object, **__: object) -> None:
        raise BugError

    crashes: list[str] = []
    piping.pipeline.on_crash(lambda: crashes.append("crashed"))
    admin = AdminRoutes(piping.health, piping.catalog, lambda: None, lambda: piping.pipeline.alive)
    request = Request({"type": "http"})
    assert admin.healthy(request).status_code == HTTPStatus.OK
    monkeypatch.setattr(classifier, "classify", classify)
    piping.sees(start(0))
    assert wait_until(lambda: not piping.pipeline.alive, PATIENCE_SECONDS)
    with pytest.raises(ProblemError) as problem:
        admin.healthy(request)
    assert (crashes, problem.value.status, problem.value.detail) == (
        ["crashed"],
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the pipeline has ended; the log has the cause",
    )


def test_a_pipeline_that_a_bug_has_ended_is_not_drained(
    piping: Piping, monkeypatch: pytest.MonkeyPatch
) -> None:
    def classify(*_: object, **__: object) -> None:
        raise BugError

    monkeypatch.setattr(classifier, "classify_exit", classify)
    piping.sees(die(1, 0))
    assert wait_until(lambda: not piping.pipeline.alive, PATIENCE_SECONDS)
    assert not piping.pipeline.stop(PATIENCE_SECONDS)


# --- engines


def test_an_engine_is_ready_when_it_was_listed(tmp_path: Path) -> None:
    with Piping(tmp_path) as piping:
        piping.says(CONNECTED)
        listing = {ADDRESS: "the engine's containers are being listed"}
        assert wait_until(lambda: piping.health.problems() == listing, PATIENCE_SECONDS)
        piping.says(ContainerList((), at(0)))
        assert piping.is_ready()


def test_an_engine_is_not_ready_before_what_its_list_tells_is_on_record(tmp_path: Path) -> None:
    causes: list[dict[str, str]] = []
    with Piping(tmp_path) as piping:
        piping.store.before_commit = lambda: causes.append(piping.health.problems())
        piping.says(CONNECTED, ContainerList((exited(0, 1, 3),), at(10)))
        assert piping.ended(1)
        assert piping.is_ready()
    assert causes[0] == {ADDRESS: "the engine's containers are being listed"}


def test_that_a_host_has_lost_nothing_is_said_once_what_its_engines_list_tells_is_on_record(
    tmp_path: Path,
) -> None:
    said = []
    with Piping(tmp_path) as piping:
        piping.store.before_commit = lambda: said.append(piping.series(metrics.EXITS_UNOBSERVED))
        piping.says(CONNECTED, ContainerList((exited(0, 1, 3),), at(10)))
        assert piping.ended(1)
        assert piping.is_ready()
        assert (said[0], piping.series(metrics.EXITS_UNOBSERVED)) == ({}, {(HOST,): 0})


def test_an_engine_that_goes_and_comes_back_is_a_reconnect(piping: Piping) -> None:
    away = {ADDRESS: "the event stream ended"}
    piping.says(Disconnected("the event stream ended"))
    assert wait_until(lambda: piping.health.problems() == away, PATIENCE_SECONDS)
    none, one = {(ADDRESS,): 0}, {(ADDRESS,): 1.0}
    assert piping.series(metrics.ENGINE_UP) == none
    piping.says(Disconnected("no such socket"), CONNECTED, ContainerList((), at(0)))
    assert piping.is_ready()
    assert (
        piping.series(metrics.ENGINE_UP),
        piping.series(metrics.EVENT_GAPS),
        piping.series(metrics.ENGINE_RECONNECTS),
    ) == (one, {}, one)


@pytest.mark.parametrize("event_gap", [EventGap.OVERRUN, EventGap.RESTARTED])
def test_what_an_engine_has_forgotten_is_a_gap(piping: Piping, event_gap: EventGap) -> None:
    piping.says(Disconnected("the event stream ended"), replace(CONNECTED, event_gap=event_gap))
    piping.says(ContainerList((), at(0), event_gap=event_gap))
    assert wait_until(lambda: piping.series(metrics.EVENT_GAPS) == {(ADDRESS,): 1}, PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("told", "read_to_end", "gaps"),
    [
        ([start(0), die(1, 143)], True, {}),
        ([start(0), die(1, 143)], False, {(ADDRESS,): 1}),
        ([start(0)], True, {(ADDRESS,): 1}),
        ([create(0)], True, {(ADDRESS,): 1}),
    ],
    ids=["all had ended", "nobody read until its end", "one ran", "one may have been starting"],
)
def test_an_engine_that_had_told_all_ends_before_its_restart_leaves_no_gap(
    piping: Piping,
    told: list[Event],
    read_to_end: bool,  # noqa: FBT001  # a case of the table
    gaps: dict[tuple[str, ...], float],
) -> None:
    piping.says(*(EventReceived(each, inspecting=False) for each in told))
    piping.says(Disconnected("the event stream ended"))
    piping.says(replace(CONNECTED, event_gap=EventGap.RESTARTED, read_to_end=read_to_end))
    piping.says(ContainerList((), at(9), event_gap=EventGap.RESTARTED))
    assert piping.idle()
    assert piping.series(metrics.EVENT_GAPS) == gaps


def test_a_list_that_comes_after_its_engine_went_does_not_make_it_ready(piping: Piping) -> None:
    away = {ADDRESS: "the event stream ended"}
    piping.says(Disconnected("the event stream ended"), ContainerList((), at(0)), ContainerList((), at(0)))
    assert piping.idle()
    assert wait_until(lambda: piping.health.problems() == away, PATIENCE_SECONDS)
    assert piping.health.problems() == away


def test_an_engine_under_two_addresses_is_watched_once_and_that_is_said(piping: Piping) -> None:
    known = replace(CONNECTED, info=replace(CONNECTED.info, id="ABCD:EFGH"))
    cause = f"is the same engine as {ADDRESS}; name it once"
    with structlog.testing.capture_logs() as said:
        for address in (ADDRESS, OTHER_ADDRESS, OTHER_ADDRESS):
            piping.says(known, ContainerList((), at(-100)), address=address)
            events = (start(0), die(1, 5))
            piping.says(*(EventReceived(event, inspecting=False) for event in events), address=address)
        assert wait_until(lambda: piping.health.problems() == {OTHER_ADDRESS: cause}, PATIENCE_SECONDS)
        assert piping.ended(1)
        assert piping.idle()
    assert piping.series(metrics.EXITS)[(*JOB, "failed", "5", "Error")] == 1
    causes = [line["cause"] for line in said if line["event"] == "engine not watched"]
    assert causes == [cause]


def test_two_engines_of_one_host_name_are_watched_both_and_that_is_said(piping: Piping) -> None:
    with structlog.testing.capture_logs() as said:
        for address in (OTHER_ADDRESS, OTHER_ADDRESS):
            piping.says(replace(CONNECTED, info=replace(CONNECTED.info, id="EFGH:ABCD")), address=address)
        assert piping.idle()
    told = [(line["engine"], line["host"]) for line in said if line["event"] == "engines have one host name"]
    assert told == [(OTHER_ADDRESS, HOST)]


def test_oom_kills_of_a_job_that_runs_are_counted_at_once_and_on_record(piping: Piping) -> None:
    piping.sees(start(0), oom(1))
    assert wait_until(lambda: piping.series(metrics.OOM_KILLS) == {JOB: 1}, PATIENCE_SECONDS)
    (record,) = piping.store.records()
    assert (record.status, len(record.job.oom_kills)) == ("running", 1)
    piping.sees(oom(2), die(3, 0))
    assert piping.ended(1)
    assert wait_until(lambda: piping.series(metrics.OOM_KILLS) == {JOB: 2}, PATIENCE_SECONDS)


def test_where_reading_goes_on_is_on_record_with_what_was_read(piping: Piping) -> None:
    piping.sees(start(0), die(1, 0))
    assert piping.ended(1)
    assert piping.store.cursors() == {ADDRESS: Cursor(at(1), at(-100), at(1))}


def test_rows_are_given_up_when_too_many_wait_and_none_is_lost_to_the_counters(
    piping: Piping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.pipeline.recorder.MAX_PENDING", 10)
    piping.sees(start(0)).store.refuses_commits = True
    for number in range(30):
        piping.sees(start(number), die(number + 0.5, 3))
    assert piping.idle()
    assert wait_until(lambda: piping.store.refusals >= 2, PATIENCE_SECONDS)
    assert wait_until(lambda: 5 <= piping.series(metrics.EXITS_PENDING)[()] <= 10, PATIENCE_SECONDS)
    piping.store.refuses_commits = False
    failed = (*JOB, "failed", "3", "Error")
    assert wait_until(lambda: piping.series(metrics.EXITS).get(failed) == 30, PATIENCE_SECONDS)
    given_up = piping.series(metrics.JOB_RECORDS_DROPPED)[()]
    assert (given_up + sum(record.ended is not None for record in piping.store.records())) == 30
    assert piping.series(metrics.EXITS_PENDING) == {(): 0}
    assert piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 0}


def test_every_event_is_counted_by_its_kind(piping: Piping) -> None:
    piping.sees(create(-1), start(0), die(1, 0), Event(EventType.MALFORMED), Event(EventType.OTHER))
    assert piping.ended(1)
    kinds = ("create", "start", "die", "malformed", "other")
    expected = {(ADDRESS, kind): 1.0 for kind in kinds}
    assert wait_until(lambda: piping.series(metrics.ENGINE_EVENTS) == expected, PATIENCE_SECONDS)


def test_what_was_found_afterwards_and_what_is_lost_is_counted(piping: Piping) -> None:
    piping.sees(start(0, B), destroy(1, B)).says(ContainerList((exited(0, 1, 3),), at(10)))
    assert piping.ended(2)
    assert wait_until(lambda: bool(piping.series(metrics.EXITS_RECOVERED)), PATIENCE_SECONDS)
    assert (piping.series(metrics.EXITS_RECOVERED), piping.series(metrics.EXITS_UNOBSERVED)) == (
        {(HOST,): 1},
        {(HOST,): 1},
    )


@pytest.mark.parametrize(("host", "reason"), [(HOST, "SIGKILL"), ("elsewhere", "OOMKilled")])
def test_an_oom_kill_that_one_engine_explains_is_no_end_of_another_on_the_same_host(
    tmp_path: Path, host: str, reason: str
) -> None:
    counts = replace(CONNECTED, has_kernel_counter=True)
    kill = KernelReport(1, at(0.95))
    with Piping(tmp_path) as piping:
        piping.says(counts, ContainerList((), at(-100)))
        other = replace(counts, info=replace(counts.info, host=host))
        piping.says(other, ContainerList((), at(-100)), address=OTHER_ADDRESS)
        piping.sees(start(0)).says(kill).sees(oom(0.96), die(1, 137))
        events = (start(0, B), die(1.1, 137, B))
        piping.says(
            kill, *(EventReceived(event, inspecting=False) for event in events), address=OTHER_ADDRESS
        )
        assert piping.ended(2)
        reasons = {
            record.job.container_id: record.ended and record.ended.verdict.reason
            for record in piping.store.records()
        }
    assert reasons == {A: "OOMKilled", B: reason}


def test_two_engines_on_one_host_keep_their_jobs_apart(piping: Piping) -> None:
    piping.sees(start(0))
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 1}, PATIENCE_SECONDS)
    later = replace(CONNECTED)
    piping.says(
        later, ContainerList((), at(10)), EventReceived(start(11, B), inspecting=False), address=OTHER_ADDRESS
    )
    piping.says(EventReceived(die(12, 0, B), inspecting=False), address=OTHER_ADDRESS)
    assert wait_until(lambda: len(piping.store.records()) == 2, PATIENCE_SECONDS)
    assert piping.ended(1)
    piping.sees(die(20, 0))
    assert piping.ended(2)
    # On record first, and a moment later to be seen.
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {JOB[:2]: 0}, PATIENCE_SECONDS)
    assert piping.series(metrics.EXITS) == {COMPLETED: 2, OOM_KILLED: 0}


# --- what a collector is to be told


TRACED = frozenset({TelemetrySignal.TRACES})
SELECTOR = TraceSelector(TracedJobs.FAILED, Sampler(), TRACED)
LAUNCHER = Trace("1" * 32, "2" * 16)
TRACEPARENT = f"00-{LAUNCHER.trace_id}-{LAUNCHER.span_id}-01"


def job_id(container: str, started: float = 0) -> str:
    """The id of a container's run that started then."""
    return f"{container[:12]}-{job_key(HOST, container, at(started))}"


def letters(piping: Piping, signal: TelemetrySignal = TelemetrySignal.TRACES) -> list[str]:
    """The ids of the jobs that wait in the outbox."""
    found = piping.store.outbox.pending(signal, 1000)
    return [letter.record.job.id for letter in found if letter.record]


def launched(container: str, traceparent: str, code: int) -> tuple[WatchMessage, ...]:
    """A run of a container with such a label, whole."""
    labels = {"traceparent": traceparent}
    return (
        EventReceived(start(0, container), inspecting=True),
        Inspected(container, running(0, container, labels=labels)),
        EventReceived(die(1, code, container), inspecting=False),
    )


def test_a_failed_job_is_posted_in_one_batch_with_its_row_and_counters_and_others_are_not(
    tmp_path: Path,
) -> None:
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects().sees(start(0), start(0, B), start(0, C), die(1, 0, B), die(1, 1))
        piping.sees(kill(1, 15, C), die(1.5, 143, C))
        assert piping.ended(3)
        assert wait_until(
            lambda: piping.series(metrics.OTLP_PENDING_JOBS) == {("traces",): 1}, PATIENCE_SECONDS
        )
        (batch,) = [batch for batch in piping.store.batches if batch.outbox]
        assert list(batch.outbox) == [(job_id(A), TelemetrySignal.TRACES)]
        assert job_id(A) in [judged.exit.job.id for judged in batch.ended]
        assert batch.series[metrics.EXITS.name, ERROR] == 1
        assert letters(piping) == [job_id(A)]
        assert piping.durable(metrics.OTLP_PENDING_JOBS) == {}


def test_of_every_signal_that_is_sent_a_failed_job_is_posted(tmp_path: Path) -> None:
    with Piping(tmp_path, selector=replace(SELECTOR, signals=frozenset(TelemetrySignal))) as piping:
        piping.connects().sees(start(0), start(0, B), die(1, 1), die(1, 1, B))
        assert piping.ended(2)
        both = [job_id(A), job_id(B)]
        assert (letters(piping), letters(piping, TelemetrySignal.LOGS)) == (both, both)
        pending = {("traces",): 2, ("logs",): 2}
        assert wait_until(lambda: piping.series(metrics.OTLP_PENDING_JOBS) == pending, PATIENCE_SECONDS)


def test_what_was_posted_is_told_only_when_it_is_on_record_and_shown(tmp_path: Path) -> None:
    seen: list[tuple[list[str], dict[tuple[str, ...], float]]] = []

    def posted() -> None:
        seen.append((letters(telling), telling.series(metrics.OTLP_PENDING_JOBS)))

    with Piping(tmp_path, selector=SELECTOR) as telling:
        telling.recorder.on_enqueued(posted)
        telling.connects().sees(start(0), die(1, 0), start(2))
        assert telling.ended(1)
        assert seen == []
        telling.sees(die(3, 1))
        assert telling.ended(2)
        assert wait_until(lambda: bool(seen), PATIENCE_SECONDS)
    assert seen == [([job_id(A, 2)], {("traces",): 1})]


def test_what_the_store_refuses_is_not_posted_and_once_when_it_takes_it_again(tmp_path: Path) -> None:
    told: list[None] = []
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.recorder.on_enqueued(lambda: told.append(None))
        piping.connects()
        assert piping.is_ready()
        piping.store.refuses_commits = True
        piping.sees(start(0), die(1, 1))
        assert wait_until(lambda: piping.store.refusals > 5, PATIENCE_SECONDS)
        assert (letters(piping), piping.series(metrics.OTLP_PENDING_JOBS), told) == ([], {("traces",): 0}, [])
        piping.store.refuses_commits = False
        assert piping.ended(1)
        assert wait_until(lambda: bool(told), PATIENCE_SECONDS)
        assert (letters(piping), piping.series(metrics.OTLP_PENDING_JOBS)) == ([job_id(A)], {("traces",): 1})
    assert told == [None]


def test_the_ids_of_a_failed_jobs_span_are_on_record_and_in_the_exemplars(tmp_path: Path) -> None:
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects().sees(start(0), die(1, 1)).says(*launched(B, TRACEPARENT, 0))
        assert piping.ended(2)
        traces = {record.job.id: record.ended and record.ended.trace for record in piping.store.records()}
        trace = span_ids_for(job(0))
        assert traces == {job_id(A): trace, job_id(B): None}
        duration = (*JOB[:2], "failed", str(bisect_left(metrics.RUN_DURATION.buckets, 1)))
        assert wait_until(lambda: bool(piping.metric_state.exemplars()), PATIENCE_SECONDS)
        assert piping.metric_state.exemplars() == {
            (metrics.EXITS.name, ERROR): Exemplar(trace, 1, at(1)),
            (metrics.RUN_DURATION.name, duration): Exemplar(trace, 1.0, at(1)),
        }


def test_a_failed_job_is_a_span_in_the_trace_that_launched_it(tmp_path: Path) -> None:
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects().says(*launched(A, TRACEPARENT, 1))
        assert piping.ended(1)
        (record,) = piping.store.records()
        own = span_ids_for(job(0)).span_id
        assert record.job.traceparent == TRACEPARENT
        assert record.ended is not None
        assert record.ended.trace == Trace(LAUNCHER.trace_id, own, LAUNCHER.span_id)
        assert wait_until(lambda: bool(piping.series(metrics.OTLP_PENDING_JOBS)), PATIENCE_SECONDS)
        assert piping.series(metrics.TRACEPARENTS_IGNORED) == {}


@pytest.mark.parametrize("garbage", ["garbage", TRACEPARENT[:-1], f"00-{'0' * 32}-{'2' * 16}-01", "é" * 55])
def test_a_traceparent_that_is_none_is_counted_and_the_trace_is_the_jobs_own(
    tmp_path: Path, garbage: str
) -> None:
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects().says(*launched(A, garbage, 1), *launched(B, garbage, 0))
        piping.says(*launched(C, garbage, 2))
        assert piping.ended(3)
        traces = {record.job.id: record.ended and record.ended.trace for record in piping.store.records()}
        own = {job_id(A): span_ids_for(job(0)), job_id(B): None, job_id(C): span_ids_for(job(0, C))}
        assert traces == own
        two = {(): 2.0}
        assert wait_until(lambda: piping.series(metrics.TRACEPARENTS_IGNORED) == two, PATIENCE_SECONDS)
        assert piping.durable(metrics.TRACEPARENTS_IGNORED) == two


def test_without_tracing_nothing_is_posted_and_no_job_has_a_span(piping: Piping) -> None:
    piping.sees(start(0), die(1, 1)).says(*launched(B, TRACEPARENT, 1), *launched(C, "garbage", 1))
    assert piping.ended(3)
    assert wait_until(lambda: piping.metric_state.value(metrics.EXITS, ERROR) == 3, PATIENCE_SECONDS)
    assert [list(batch.outbox) for batch in piping.store.batches] == [[]] * len(piping.store.batches)
    assert [record.ended and record.ended.trace for record in piping.store.records()] == [None] * 3
    assert [piping.store.outbox.count_pending(signal) for signal in TelemetrySignal] == [0, 0]
    assert piping.metric_state.exemplars() == {}
    assert (piping.series(metrics.OTLP_PENDING_JOBS), piping.series(metrics.TRACEPARENTS_IGNORED)) == ({}, {})


def test_what_is_read_before_a_stop_is_posted(tmp_path: Path) -> None:
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects()
        for number in range(300):
            container = identity(number)
            piping.sees(start(number, container), die(number + 1, 1, container))
        assert piping.pipeline.stop(PATIENCE_SECONDS)
        expected = [job_id(identity(number), number) for number in range(300)]
        assert (letters(piping), piping.series(metrics.OTLP_PENDING_JOBS)) == (expected, {("traces",): 300})


def test_a_span_whose_row_is_given_up_is_counted_as_given_up_and_is_no_exemplar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.pipeline.recorder.MAX_PENDING", 10)
    with Piping(tmp_path, selector=SELECTOR) as piping:
        piping.connects().sees(start(0)).store.refuses_commits = True
        for number in range(30):
            piping.sees(start(number), die(number + 0.5, 3))
        assert wait_until(lambda: piping.store.refusals >= 2, PATIENCE_SECONDS)
        assert wait_until(
            lambda: 5 <= piping.series(metrics.EXITS_PENDING).get((), 0) <= 10, PATIENCE_SECONDS
        )
        piping.store.refuses_commits = False
        failed = (*JOB, "failed", "3", "Error")
        assert wait_until(lambda: piping.series(metrics.EXITS).get(failed) == 30, PATIENCE_SECONDS)
        given_up = piping.series(metrics.JOB_RECORDS_DROPPED)[()]
        assert given_up > 0
        assert piping.series(metrics.OTLP_JOBS_DROPPED) == {("traces",): given_up}
        assert piping.series(metrics.OTLP_PENDING_JOBS) == {("traces",): 30 - given_up}
        posted = {record.ended.trace for record in piping.store.records() if record.ended}
        assert {exemplar.trace for exemplar in piping.metric_state.exemplars().values()} <= posted


def test_only_what_failed_keeps_the_end_of_its_log(piping: Piping) -> None:
    for container_id, code, events in ((A, 3, ()), (B, 137, (kill(0.5, 9, B),))):
        piping.sees(start(0, container_id), *events)
        piping.says(EventReceived(die(1, code, container_id), inspecting=False, reading_log=True))
        piping.says(LogCollected(container_id, at(1), "why"))
    assert piping.ended(2)
    tails = {record.job.container_id: record.ended and record.ended.exit.log_tail for record in whole(piping)}
    assert tails == {A: "why", B: None}


def test_a_log_that_does_not_come_is_waited_for_no_longer_than_an_answer(piping: Piping) -> None:
    piping.sees(start(0)).says(EventReceived(die(1, 3), inspecting=False, reading_log=True))
    assert piping.ended(1)
    piping.says(LogCollected(A, at(1), "too late"))
    assert piping.idle()
    assert [record.ended and record.ended.exit.log_tail for record in whole(piping)] == [None]


def whole(piping: Piping) -> list[JobRecord]:
    """Everything on record, with the logs that a list leaves out."""
    records = [piping.store.find_job(record.job.id) for record in piping.store.records()]
    return [record for record in records if record is not None]


# --- workloads


def run_of(workload: str, seconds: float, container: str) -> tuple[Event, Event]:
    """A run of a container with a label that names its workload."""
    labels = {"exit-exporter.workload": workload}
    return replace(start(seconds, container), labels=labels), die(seconds + 1, 1, container)


def workloads(series: dict[SeriesKey, float]) -> set[str]:
    """Whose series these are."""
    return {labels[1] for _, labels in about_jobs(series)}


def test_a_slot_that_is_given_up_is_on_record_with_the_job_that_took_it(tmp_path: Path) -> None:
    with Piping(tmp_path, workloads=1, idle_ns=at(100) - at(0)) as piping:
        piping.connects().sees(*run_of("old", 0, A))
        assert piping.ended(1)
        piping.store.refuses_commits = True
        piping.sees(*run_of("new", 200, B))
        assert wait_until(lambda: piping.store.refusals > 2, PATIENCE_SECONDS)
        assert workloads(piping.metric_state.snapshot()) == workloads(piping.store.series()) == {"old"}
        piping.store.refuses_commits = False
        assert piping.ended(2)
        assert workloads(piping.store.series()) == {"new"}
    assert workloads(piping.metric_state.snapshot()) == {"new"}
    with Piping(tmp_path, workloads=1, idle_ns=at(100) - at(0)) as again:
        again.connects().sees(*run_of("old", 250, C))
        assert again.ended(3)
        assert workloads(again.store.series()) == {"new", "Other"}


def test_a_job_whose_image_is_known_by_its_id_at_first_runs_and_ends_under_its_repository(
    piping: Piping,
) -> None:
    by_id = [replace(event, image="sha256:" + "ab" * 32) for event in (start(0), die(1, 0))]
    answer = replace(running(0), image=by_id[0].image, repository="acme/train")
    piping.says(EventReceived(by_id[0], inspecting=True)).answers(A, answer)
    runs_now = {(HOST, "acme/train"): 1}
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == runs_now, PATIENCE_SECONDS)
    piping.sees(by_id[1])
    assert piping.ended(1)
    (record,) = piping.store.records()
    assert (record.job.image, record.job.workload.image) == (by_id[0].image, "acme/train")
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {(HOST, "acme/train"): 0}, 1)


def test_a_job_that_was_announced_under_its_images_id_does_not_run_on_there(piping: Piping) -> None:
    by_id = [replace(event, image="sha256:" + "ab" * 32) for event in (start(0), die(1, 255))]
    piping.sees(by_id[0])
    unnamed = (HOST, "unnamed")
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == {unnamed: 1}, PATIENCE_SECONDS)
    answer = replace(exited(0, 1, 255), image=by_id[0].image, repository="acme/train")
    piping.says(EventReceived(by_id[1], inspecting=True)).answers(A, answer)
    assert piping.ended(1)
    runs_now = {unnamed: 0, (HOST, "acme/train"): 0}
    assert wait_until(lambda: piping.series(metrics.JOBS_RUNNING) == runs_now, PATIENCE_SECONDS)


def test_a_job_by_id_that_runs_through_a_restart_keeps_its_workload_with_labels_and_no_answer(
    tmp_path: Path,
) -> None:
    labels = {"traceparent": "x"}
    by_id = [replace(event, image="sha256:" + "ab" * 32, labels=labels) for event in (start(0), die(1, 0))]
    answer = replace(running(0, labels=labels), image=by_id[0].image, repository="acme/train")
    with Piping(tmp_path) as piping:
        piping.connects().says(EventReceived(by_id[0], inspecting=True)).answers(A, answer)
        assert wait_until(lambda: bool(piping.store.records()), PATIENCE_SECONDS)
    with Piping(tmp_path) as again:
        again.says(CONNECTED).sees(by_id[1])
        assert again.ended(1)
        assert {record.job.workload.name for record in again.store.records()} == {"acme/train"}


def test_hosts_made_from_one_image_keep_the_jobs_of_equal_containers_apart(tmp_path: Path) -> None:
    twin = replace(CONNECTED, info=replace(CONNECTED.info, host="twin"))
    with Piping(tmp_path) as piping:
        for connected, address in ((CONNECTED, ADDRESS), (twin, OTHER_ADDRESS)):
            piping.says(connected, ContainerList((exited(0, 1, 3),), at(10)), address=address)
        assert piping.ended(2)
        records = piping.store.records()
    assert {record.job.container_id for record in records} == {A}
    assert {record.job.instance for record in records} == {HOST, "twin"}
    assert len({record.job.id for record in records}) == 2
