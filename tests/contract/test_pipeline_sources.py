"""How the pipeline connects sources: readiness, reconnects, gaps, and several on one host."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from exporter.metrics import definitions as metrics
from exporter.model import Cursor, Status
from exporter.sources.docker.engine import ContainerList, Event, EventGap, EventType, KernelReport
from exporter.sources.docker.messages import EventReceived
from exporter.sources.source import Disconnected
from exporter.store import Batch, Store
from tests.contract.pipeline_driver import (
    ADDRESS,
    COMPLETED,
    CONNECTED,
    JOB,
    OTHER_ADDRESS,
    PipelineDriver,
)
from tests.contract.tracker_driver import HOST, A, B, at, create, die, exited, job, oom, running, start

pytestmark = pytest.mark.usefixtures("fast_retries")


def test_an_engine_is_ready_once_it_is_listed(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(CONNECTED)
        listing = {ADDRESS: "the engine's containers are being listed"}
        assert pipeline.reaches(lambda: pipeline.readiness.problems() == listing)
        pipeline.send(ContainerList((), at(0)))
        assert pipeline.becomes_ready()


def test_an_engine_is_not_ready_before_its_list_is_on_record(tmp_path: Path) -> None:
    causes: list[dict[str, str]] = []
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.store.before_commit = lambda: causes.append(pipeline.readiness.problems())
        pipeline.send(CONNECTED, ContainerList((exited(0, 1, 3),), at(10)))
        assert pipeline.ends(1)
        assert pipeline.becomes_ready()
    assert causes[0] == {ADDRESS: "the engine's containers are being listed"}


def test_series_at_0_follow_once_the_list_is_on_record(
    tmp_path: Path,
) -> None:
    seen = []
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.store.before_commit = lambda: seen.append(pipeline.series(metrics.EXITS_UNOBSERVED))
        pipeline.send(CONNECTED, ContainerList((exited(0, 1, 3),), at(10)))
        assert pipeline.ends(1)
        assert pipeline.becomes_ready()
        assert (seen[0], pipeline.series(metrics.EXITS_UNOBSERVED)) == ({}, {(HOST,): 0})


def test_a_second_connection_is_counted_as_a_reconnect(pipeline: PipelineDriver) -> None:
    away = {ADDRESS: "the event stream ended"}
    pipeline.send(Disconnected("the event stream ended"))
    assert pipeline.reaches(lambda: pipeline.readiness.problems() == away)
    none, one = {(ADDRESS,): 0}, {(ADDRESS,): 1.0}
    assert pipeline.series(metrics.ENGINE_UP) == none
    pipeline.send(Disconnected("no such socket"), CONNECTED, ContainerList((), at(0)))
    assert pipeline.becomes_ready()
    assert (
        pipeline.series(metrics.ENGINE_UP),
        pipeline.series(metrics.EVENT_GAPS),
        pipeline.series(metrics.ENGINE_RECONNECTS),
    ) == (one, {}, one)


@pytest.mark.parametrize("event_gap", [EventGap.OVERRUN, EventGap.RESTARTED])
def test_missed_events_are_counted_as_a_gap(pipeline: PipelineDriver, event_gap: EventGap) -> None:
    pipeline.send(Disconnected("the event stream ended"), replace(CONNECTED, event_gap=event_gap))
    pipeline.send(ContainerList((), at(0), event_gap=event_gap))
    assert pipeline.shows(metrics.EVENT_GAPS, {(ADDRESS,): 1})


@pytest.mark.parametrize(
    ("events", "read_to_end", "gaps"),
    [
        ([start(0), die(1, 143)], True, {}),
        ([start(0), die(1, 143)], False, {(ADDRESS,): 1}),
        ([start(0)], True, {(ADDRESS,): 1}),
        ([create(0)], True, {(ADDRESS,): 1}),
    ],
    ids=["all had ended", "not read to the end", "one ran", "one may have been starting"],
)
def test_a_restart_after_all_ends_were_read_is_no_gap(
    pipeline: PipelineDriver,
    events: list[Event],
    read_to_end: bool,  # noqa: FBT001  # a case of the table
    gaps: dict[tuple[str, ...], float],
) -> None:
    pipeline.events(*events)
    pipeline.send(Disconnected("the event stream ended"))
    pipeline.send(replace(CONNECTED, event_gap=EventGap.RESTARTED, read_to_end=read_to_end))
    pipeline.send(ContainerList((), at(9), event_gap=EventGap.RESTARTED))
    assert pipeline.becomes_idle()
    assert pipeline.shows(metrics.EVENT_GAPS, gaps)


def test_a_late_list_does_not_make_an_engine_ready(pipeline: PipelineDriver) -> None:
    away = {ADDRESS: "the event stream ended"}
    pipeline.send(Disconnected("the event stream ended"), ContainerList((), at(0)), ContainerList((), at(0)))
    assert pipeline.becomes_idle()
    assert pipeline.reaches(lambda: pipeline.readiness.problems() == away)
    assert pipeline.readiness.problems() == away


def test_an_engine_with_two_addresses_is_watched_once(pipeline: PipelineDriver) -> None:
    known = replace(CONNECTED, info=replace(CONNECTED.info, id="ABCD:EFGH"))
    cause = f"is the same engine as {ADDRESS}; name it once"
    with structlog.testing.capture_logs() as lines:
        for address in (ADDRESS, OTHER_ADDRESS, OTHER_ADDRESS):
            pipeline.send(known, ContainerList((), at(-100)), address=address)
            events = (start(0), die(1, 5))
            pipeline.events(*events, address=address)
        assert pipeline.reaches(lambda: pipeline.readiness.problems() == {OTHER_ADDRESS: cause})
        assert pipeline.ends(1)
        assert pipeline.becomes_idle()
    assert pipeline.series(metrics.EXITS)[(*JOB, "failed", "5", "Error")] == 1
    causes = [line["cause"] for line in lines if line["event"] == "engine not watched"]
    assert causes == [cause]


def test_an_address_that_leads_to_another_engine_is_read_no_more_until_it_leads_back(
    pipeline: PipelineDriver,
) -> None:
    known, other = (replace(CONNECTED, info=replace(CONNECTED.info, id=each)) for each in ("ABCD", "EFGH"))
    pipeline.send(known, ContainerList((), at(-100)))
    pipeline.send(other, ContainerList((), at(-100)), address=OTHER_ADDRESS)
    assert pipeline.becomes_ready()
    pipeline.send(Disconnected("the event stream ended"), known, address=OTHER_ADDRESS)
    for address in (ADDRESS, OTHER_ADDRESS):
        pipeline.events(start(0), die(1, 5), address=address)
        pipeline.send(ContainerList((exited(0, 1, 5), exited(0, 1, 6, B)), at(10)), address=address)
    cause = f"is the same engine as {ADDRESS}; name it once"
    assert pipeline.reaches(lambda: pipeline.readiness.problems() == {OTHER_ADDRESS: cause})
    assert pipeline.ends(2)
    assert pipeline.becomes_idle()
    assert sum(pipeline.series(metrics.EXITS).values()) == 2
    pipeline.send(other, ContainerList((), at(20)), address=OTHER_ADDRESS)
    assert pipeline.becomes_ready()
    pipeline.events(start(30), die(31, 7), address=OTHER_ADDRESS)
    assert pipeline.ends(3)


@pytest.mark.parametrize(
    ("engine_id", "host", "hosts"),
    [
        ("EFGH", "elsewhere", {HOST: 2, "elsewhere": 2}),
        ("EFGH", HOST, {HOST: 4}),
        ("ABCD", "renamed", {HOST: 4}),
    ],
)
def test_what_another_engine_at_an_address_reports_is_of_its_own_host(
    pipeline: PipelineDriver, engine_id: str, host: str, hosts: dict[str, int]
) -> None:
    known = replace(CONNECTED, info=replace(CONNECTED.info, id="ABCD"))
    pipeline.send(known, ContainerList((), at(-100))).events(start(0), start(1, B), die(2, 3, B))
    another = replace(CONNECTED, info=replace(CONNECTED.info, host=host, id=engine_id))
    pipeline.send(Disconnected("the event stream ended"), another)
    pipeline.send(ContainerList((exited(5, 6, 4, "c" * 64),), at(10)))
    pipeline.events(start(20, "d" * 64), die(21, 5, "d" * 64))
    assert pipeline.ends(4)
    assert pipeline.becomes_ready()
    counted = dict.fromkeys(hosts, 0.0)
    for (name, *_), value in pipeline.series(metrics.EXITS).items():
        counted[name] += value
    assert counted == hosts
    (lost,) = (each for each in pipeline.exits() if each.exit.code is None)
    assert (lost.exit.job.container_id, lost.exit.job.instance) == (A, HOST)


def test_an_engine_whose_address_leads_to_another_one_can_be_read_at_another(tmp_path: Path) -> None:
    known = replace(CONNECTED, info=replace(CONNECTED.info, id="ABCD"))
    another = replace(CONNECTED, info=replace(CONNECTED.info, host="elsewhere", id="EFGH"))
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(known, ContainerList((), at(-100))).events(start(0), die(1, 3))
        pipeline.send(Disconnected("the event stream ended"), another, ContainerList((), at(10)))
        pipeline.send(known, ContainerList((exited(0, 1, 3),), at(10)), address=OTHER_ADDRESS)
        pipeline.events(start(20), die(21, 4), address=OTHER_ADDRESS)
        assert pipeline.ends(2)
        assert pipeline.becomes_ready()
        assert sum(pipeline.series(metrics.EXITS).values()) == 2


@pytest.mark.parametrize(("engine_id", "counted"), [("ABCD", 2), ("EFGH", 4)])
def test_an_engine_that_is_reached_at_another_of_the_addresses_after_a_restart_is_the_same(
    tmp_path: Path, engine_id: str, counted: int
) -> None:
    """Only its id tells: hosts made from one image have containers with equal ids."""
    known, found = (replace(CONNECTED, info=replace(CONNECTED.info, id=each)) for each in ("ABCD", engine_id))
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(known, ContainerList((), at(-100))).events(start(0), die(1, 5), start(2, B))
        assert pipeline.ends(1)
        assert pipeline.reaches(lambda: len(pipeline.store.running_jobs()) == 1)
    with PipelineDriver(tmp_path) as pipeline:
        listed = ContainerList((exited(0, 1, 5), running(2, B)), at(10))
        pipeline.send(found, listed, address=OTHER_ADDRESS).events(die(20, 6, B), address=OTHER_ADDRESS)
        pipeline.send(known, ContainerList((), at(30)))
        assert pipeline.reaches(lambda: sum(pipeline.series(metrics.EXITS).values()) == counted)
        assert pipeline.becomes_idle()
        assert sum(pipeline.stored_series(metrics.EXITS).values()) == counted


def test_a_host_name_shared_by_two_engines_is_logged(pipeline: PipelineDriver) -> None:
    with structlog.testing.capture_logs() as lines:
        for address in (OTHER_ADDRESS, OTHER_ADDRESS):
            pipeline.send(replace(CONNECTED, info=replace(CONNECTED.info, id="EFGH:ABCD")), address=address)
        assert pipeline.becomes_idle()
    logged = [
        (line["engine"], line["host"]) for line in lines if line["event"] == "engines have one host name"
    ]
    assert logged == [(OTHER_ADDRESS, HOST)]


def test_every_event_is_counted_by_its_type(pipeline: PipelineDriver) -> None:
    pipeline.events(create(-1), start(0), die(1, 0), Event(EventType.MALFORMED), Event(EventType.OTHER))
    assert pipeline.ends(1)
    kinds = ("create", "start", "die", "malformed", "other")
    expected = {(ADDRESS, kind): 1.0 for kind in kinds}
    assert pipeline.shows(metrics.ENGINE_EVENTS, expected)


@pytest.mark.parametrize(("host", "reason"), [(HOST, "SIGKILL"), ("elsewhere", "OOMKilled")])
def test_an_oom_kill_of_one_engine_explains_none_of_another(tmp_path: Path, host: str, reason: str) -> None:
    counts = replace(CONNECTED, has_kernel_counter=True)
    kill = KernelReport(1, at(0.95))
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(counts, ContainerList((), at(-100)))
        other = replace(counts, info=replace(counts.info, host=host))
        pipeline.send(other, ContainerList((), at(-100)), address=OTHER_ADDRESS)
        pipeline.events(start(0)).send(kill).events(oom(0.96), die(1, 137))
        events = (start(0, B), die(1.1, 137, B))
        pipeline.send(kill, address=OTHER_ADDRESS).events(*events, address=OTHER_ADDRESS)
        assert pipeline.ends(2)
        reasons = {each.exit.job.container_id: each.verdict.reason for each in pipeline.exits()}
    assert reasons == {A: "OOMKilled", B: reason}


def test_two_engines_on_one_host_keep_their_jobs_apart(pipeline: PipelineDriver) -> None:
    pipeline.events(start(0))
    assert pipeline.shows(metrics.JOBS_RUNNING, {JOB[:2]: 1})
    pipeline.send(CONNECTED, ContainerList((), at(10)), address=OTHER_ADDRESS)
    pipeline.events(start(11, B), die(12, 0, B), address=OTHER_ADDRESS)
    assert pipeline.reaches(lambda: len(pipeline.store.records()) == 2)
    assert pipeline.ends(1)
    pipeline.events(die(20, 0))
    assert pipeline.ends(2)
    # On record first, and a moment later to be seen.
    assert pipeline.shows(metrics.JOBS_RUNNING, {JOB[:2]: 0})
    assert pipeline.series(metrics.EXITS) == {COMPLETED: 2}


def test_what_ended_while_its_engine_was_away_for_longer_than_jobs_are_kept_is_counted(
    tmp_path: Path,
) -> None:
    with closing(Store(tmp_path / "exits.db")) as store:
        store.commit(Batch(cursors={ADDRESS: Cursor(at(0), at(-100)), OTHER_ADDRESS: Cursor(at(2_000), 0)}))
        # By the clock of the engine that was not away.
        store.prune(at(1_000))
    back = replace(CONNECTED, info=replace(CONNECTED.info, time_ns=at(2_000)))
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(back, ContainerList((exited(400, 401, 3), exited(-50, -40, 4, B)), at(2_000)))
        assert pipeline.becomes_idle()
        assert pipeline.ends(1)
        assert [each.exit.code for each in pipeline.exits()] == [3]


@pytest.mark.parametrize(("ended_at", "counted"), [(400, 0), (1_500, 1)])
def test_what_was_deleted_before_the_engines_clock_was_set_back_is_not_counted_again(
    tmp_path: Path, ended_at: float, counted: int
) -> None:
    with closing(Store(tmp_path / "exits.db")) as store:
        store.commit(Batch(cursors={ADDRESS: Cursor(at(2_000), 0, at(2_000))}))
        store.prune(at(1_000))
    # Restarted while it is set back, and once it is right again: what ended meanwhile looks as if deleted.
    for now, read_until, gaps in ((100, 100, {}), (110, 110, {}), (2_100, 110, {(ADDRESS,): 1})):
        info = replace(CONNECTED.info, time_ns=at(now))
        opened = replace(CONNECTED, info=info, cursor=Cursor(0, at(read_until)))
        with PipelineDriver(tmp_path, addresses=[ADDRESS]) as pipeline:
            again = EventReceived(
                die(ended_at, 3), inspecting=False, replayed=ended_at < now, ahead=ended_at > now
            )
            pipeline.send(opened, again, ContainerList((exited(350, ended_at, 3),), at(now)))
            assert pipeline.becomes_ready()
            assert (len(pipeline.exits()), pipeline.series(metrics.EVENT_GAPS)) == (counted, gaps)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_what_is_sent_again_after_the_list_since_the_clock_was_set_back_is_not_counted_again(
    tmp_path: Path, before: int
) -> None:
    """Nothing tells when the engine has sent all from before, which its clock has not reached."""
    events, listed = (start(0), die(1, 3)), ContainerList((exited(0, 1, 3),), at(-50))
    with PipelineDriver(tmp_path, addresses=[ADDRESS]) as pipeline:
        pipeline.send(CONNECTED, ContainerList((), at(-100))).events(*events)
        assert pipeline.ends(1)
    gap = EventGap.CLOCK_SET_BACK
    set_back = replace(CONNECTED, event_gap=gap, info=replace(CONNECTED.info, time_ns=at(-50)))
    with PipelineDriver(tmp_path, addresses=[ADDRESS]) as pipeline:
        again = [EventReceived(each, inspecting=False, ahead=True) for each in events]
        pipeline.send(set_back, *again[:before], replace(listed, event_gap=gap), *again[before:])
        pipeline.events(start(10), die(11, 4))
        assert pipeline.ends(2)
        assert [(each.exit.code, each.exit.job.attempt) for each in pipeline.exits()] == [(3, 1), (4, 2)]
        assert sum(pipeline.series(metrics.EXITS).values()) == 2


# --- engines that are no longer in the settings


GONE = "unix:///gone.sock"


def test_the_end_of_a_job_whose_engine_is_no_longer_watched_is_unknown(tmp_path: Path) -> None:
    here = replace(job(0), engine=ADDRESS, key="1")
    elsewhere = replace(job(0, container=B), engine=GONE, instance="elsewhere", key="2")
    with closing(Store(tmp_path / "exits.db")) as store:
        store.commit(Batch([here, elsewhere], cursors={GONE: Cursor(at(5), at(-100), at(7))}))
    with PipelineDriver(tmp_path) as pipeline:
        pipeline.send(CONNECTED, ContainerList((running(0),), at(10)))
        assert pipeline.becomes_idle()
        assert not pipeline.exits()
        pipeline.connect(OTHER_ADDRESS)
        assert pipeline.ends(1)
        (ended,) = pipeline.exits()
        assert pipeline.series(metrics.EXITS_UNOBSERVED)[("elsewhere",)] == 1
        assert [each.id for each in pipeline.store.running_jobs()] == [here.id]
    assert (ended.exit.job.id, ended.exit.code, ended.exit.finished_ns) == (elsewhere.id, None, at(7))
    assert (ended.verdict.status, ended.verdict.reason) == (Status.UNKNOWN, "Unknown")
    assert ended.exit.evidence.notes == (
        f"Its engine, {GONE}, is no longer watched; it was running when last seen.",
    )


def test_a_job_of_another_engine_on_the_same_host_is_given_up_once(tmp_path: Path) -> None:
    with PipelineDriver(tmp_path, addresses=[ADDRESS, OTHER_ADDRESS]) as pipeline:
        pipeline.connect().connect(OTHER_ADDRESS)
        pipeline.events(start(11, B), address=OTHER_ADDRESS)
        assert pipeline.reaches(lambda: len(pipeline.store.running_jobs()) == 1)
    with PipelineDriver(tmp_path, addresses=[ADDRESS]) as pipeline:
        pipeline.connect()
        assert pipeline.ends(1)
        (given_up,) = pipeline.exits()
        assert given_up.exit.evidence.notes[0].startswith(
            f"Its engine, {OTHER_ADDRESS}, is no longer watched"
        )
    # Named again, the engine shows that it has ended meanwhile, or that it runs.
    for found in exited(11, 20, 3, B), running(11, B):
        with PipelineDriver(tmp_path, addresses=[ADDRESS, OTHER_ADDRESS]) as pipeline:
            pipeline.connect()
            pipeline.send(CONNECTED, ContainerList((found,), at(30)), address=OTHER_ADDRESS)
            assert pipeline.becomes_ready()
            assert sum(pipeline.stored_series(metrics.EXITS).values()) == 1


@pytest.mark.parametrize("is_inspected", [True, False])
def test_a_job_goes_on_when_its_engine_has_a_new_address(tmp_path: Path, *, is_inspected: bool) -> None:
    with PipelineDriver(tmp_path, addresses=[OTHER_ADDRESS]) as pipeline:
        pipeline.connect(OTHER_ADDRESS).events(start(11, B), address=OTHER_ADDRESS)
        assert pipeline.reaches(lambda: len(pipeline.store.running_jobs()) == 1)
    seen = frozenset[str]() if is_inspected else frozenset({B})
    with PipelineDriver(tmp_path, addresses=[ADDRESS]) as pipeline:
        listed = ContainerList((running(11, B),) if is_inspected else (), at(30), seen)
        pipeline.send(CONNECTED, listed)
        assert pipeline.becomes_ready()
        assert [job.engine for job in pipeline.store.running_jobs()] == [ADDRESS]
        pipeline.events(die(40, 3, B))
        assert pipeline.ends(1)
        assert [each.exit.code for each in pipeline.exits()] == [3]
