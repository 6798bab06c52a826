"""What is recorded and found again: whole batches, in their order, and by every name that a job has."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model import (
    ClassifiedExit,
    ContainerHistory,
    Evidence,
    Exit,
    Job,
    JobRecord,
    MemoryLimit,
    OomKill,
    OomSource,
    OomVictim,
    Recovery,
    SeriesKey,
    Status,
    Termination,
    Trace,
    Verdict,
    Workload,
)
from exporter.store import Batch, JobFilter, Store, StoreError
from tests.store.files import fill, opened, small_disk, trigger
from tests.store.samples import ANY, BEGAN_NS, NOT_STARTED, OOM, SECOND_NS, STOPPED, ended, job, shown

ROOT = Path(__file__).parents[2]
SERIES: dict[SeriesKey, float] = {
    ("container_exits_total", ("node-1", "shop/worker", "img", "failed", "137", "OOMKilled")): 3,
    ("container_run_duration_seconds", ("node-1", 'quo"ted', "Größe, ∑", "sum")): 0.1 + 0.2,
    ("exit_exporter_store_errors_total", ()): 2.0**53,
}
KILLED = """
import os, signal, sys
from pathlib import Path
from exporter.store import Batch
from tests.store.files import opened
from tests.store.samples import ended, job

with opened(Path(sys.argv[1])) as store:
    values = {("container_exits_total", ()): 1}
    store.commit(Batch(running=[job("b")], ended=[ended(job("a"), 137)], series=values))
    with store._database.transaction() as connection:
        connection.exec_driver_sql("UPDATE series SET value = 2")
        connection.exec_driver_sql("DELETE FROM jobs")
        os.kill(os.getpid(), signal.SIGKILL)
"""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.integers(min_value=0, max_value=2**63 - 1)
SENTENCES = st.lists(TEXTS, max_size=3).map(tuple)
VICTIMS = st.builds(
    OomVictim,
    st.none() | st.sampled_from(MemoryLimit),
    TEXTS,
    TEXTS,
    TIMES,
    st.none() | TIMES,
    st.none() | st.tuples(TEXTS, TIMES),
)
OOM_KILLS = st.builds(OomKill, st.sampled_from(OomSource), st.none() | TIMES, st.none() | VICTIMS)
JOBS = st.builds(
    Job,
    container_id=st.text("0123456789abcdef", min_size=64, max_size=64),
    attempt=st.integers(1, 2**31),
    name=TEXTS,
    instance=TEXTS,
    workload=st.builds(Workload, TEXTS, TEXTS),
    image=TEXTS,
    start_event_ns=TIMES,
    engine=TEXTS,
    created_ns=st.none() | TIMES,
    started_ns=st.none() | TIMES,
    memory_limit_bytes=st.none() | TIMES,
    traceparent=TEXTS,
    key=st.just("") | st.from_regex(r"[a-z][-a-z0-9]{0,9}", fullmatch=True),
    oom_kills=st.lists(OOM_KILLS, max_size=2).map(tuple),
    notes=SENTENCES,
)
TRACES = st.builds(Trace, TEXTS.filter(bool), TEXTS, st.none() | TEXTS)
ENDS = st.builds(
    ClassifiedExit,
    st.builds(
        Exit,
        JOBS,
        st.none() | st.integers(0, 2**32 - 1),
        TIMES,
        st.builds(
            Evidence,
            start_error=TEXTS,
            limit=st.none() | st.sampled_from(MemoryLimit),
            notes=SENTENCES,
            causes=SENTENCES,
            not_known=SENTENCES,
        ),
        st.integers(0, 2**31),
        log_tail=st.none() | TEXTS,
        event_ns=st.none() | TIMES,
    ),
    st.builds(
        Verdict,
        st.sampled_from([status for status in Status if status is not Status.RUNNING]),
        st.sampled_from(Termination),
        TEXTS,
        st.sampled_from(Recovery),
        st.none() | TEXTS,
    ),
    st.none() | TRACES,
)


def sofar(run: Job) -> tuple[Any, ...]:
    """Give what has happened in a run, which does not make it another one."""
    return run.restarts, run.kills, run.oom_kills, run.notes


def names(records: list[JobRecord]) -> list[str]:
    """Give the names of jobs."""
    return [record.job.name for record in records]


# Recording


def test_jobs_and_series_of_a_batch_are_on_record_together(store: Store) -> None:
    running, failed = job("a"), ended(job("b", start_event_ns=BEGAN_NS - 1), 137, OOM, oom_kills=2)
    store.commit(Batch(running=[running], ended=[failed], series=SERIES))
    assert store.list_jobs(ANY, 10) == [JobRecord(running, None), shown(failed)]
    assert store.series() == SERIES


@given(ENDS)
@settings(max_examples=50, deadline=None)
def test_whatever_a_job_holds_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, judged: ClassifiedExit
) -> None:
    with opened(tmp_path_factory.getbasetemp() / "whatever" / "exits.db") as store:
        store.commit(Batch(running=[judged.exit.job]))
        running = store.find_job(judged.exit.job.id)
        assert running == JobRecord(judged.exit.job, None)
        assert sofar(running.job) == sofar(judged.exit.job)
        store.commit(Batch(ended=[judged]))
        over = store.find_job(judged.exit.job.id)
        assert over == shown(judged)
        # Of a run that is over, its evidence has the sentences.
        assert sofar(over.job) == sofar(replace(judged.exit.job, notes=()))


def test_an_end_takes_the_place_of_its_beginning(store: Store) -> None:
    store.commit(Batch(running=[job()]))
    store.commit(Batch(ended=[ended(job(), 143, STOPPED)]))
    assert store.list_jobs(ANY, 10) == [shown(ended(job(), 143, STOPPED))]


def test_of_a_job_that_begins_and_ends_within_one_batch_the_end_is_on_record(store: Store) -> None:
    store.commit(Batch(running=[job()], ended=[ended(job(), 0)]))
    assert store.list_jobs(ANY, 10) == [shown(ended(job(), 0))]


def test_an_end_that_is_recorded_twice_is_one_row(store: Store) -> None:
    for _ in range(2):
        store.commit(Batch(ended=[ended(job(), 1)], series=SERIES))
    assert store.list_jobs(ANY, 10) == [shown(ended(job(), 1))]
    assert store.series() == SERIES


def test_an_empty_batch_changes_nothing(store: Store) -> None:
    store.commit(Batch(ended=[ended(job(), 1)], series=SERIES))
    store.commit(Batch())
    assert store.list_jobs(ANY, 10) == [shown(ended(job(), 1))]
    assert store.series() == SERIES


def test_series_survive_reopening_to_the_last_bit(database: Path) -> None:
    with opened(database) as store:
        store.commit(Batch(series=dict.fromkeys(SERIES, 1.0)))
        store.commit(Batch(series=SERIES))
    with opened(database) as store:
        assert store.series() == SERIES


def test_a_series_that_ends_is_gone_from_the_database_and_no_other_is(database: Path) -> None:
    gone, *others = SERIES
    with opened(database) as store:
        store.commit(Batch(series=SERIES))
        store.commit(Batch(series={gone: None, ("never_there_total", ("x",)): None}))
    with opened(database) as store:
        assert store.series() == {key: SERIES[key] for key in others}


@pytest.mark.parametrize("how", ["ABORT", "FAIL", "ROLLBACK"])
@pytest.mark.parametrize(
    "when",
    [
        "AFTER INSERT ON jobs WHEN NEW.name = 'gentle-stingray-b'",
        "AFTER INSERT ON series WHEN NEW.name = 'exit_exporter_store_errors_total'",
    ],
)
def test_a_batch_of_which_one_row_fails_leaves_nothing_and_can_be_tried_again(
    store: Store, database: Path, when: str, how: str
) -> None:
    batch = Batch(running=[job("a"), job("b")], ended=[ended(job("c"), 1)], series=SERIES)
    with trigger(database, when, how):
        with pytest.raises(StoreError) as caught:
            store.commit(batch)
        assert str(caught.value) == f"{database}: not today"
        assert (store.list_jobs(ANY, 10), store.series()) == ([], {})
    store.commit(batch)
    assert names(store.list_jobs(ANY, 10)) == ["gentle-stingray-c", "gentle-stingray-b", "gentle-stingray-a"]
    assert store.series() == SERIES


def test_what_is_committed_survives_a_kill_and_what_is_not_is_gone(database: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    with opened(database) as store:
        assert store.list_jobs(ANY, 10) == [JobRecord(job("b"), None), shown(ended(job("a"), 137))]
        assert store.series() == {("container_exits_total", ()): 1}


def test_a_full_disk_refuses_a_batch_whole_and_takes_it_when_there_is_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, opened(disk / "exits.db") as store:
        first = ended(job("a"), 1)
        store.commit(Batch(ended=[first], series=SERIES))
        filler = fill(disk)
        more = Batch(running=[job(digit) for digit in "bcdef"], series=dict.fromkeys(SERIES, 9.0))
        for _ in range(3):
            with pytest.raises(StoreError) as caught:
                store.commit(more)
            advice = "free some space; pending data is kept and written then"
            assert str(caught.value) == f"{disk / 'exits.db'}: database or disk is full; {advice}"
            assert (store.list_jobs(ANY, 10), store.series()) == ([shown(first)], SERIES)
        filler.unlink()
        store.commit(more)
        assert [*"fedcba"] == [record.job.container_id[0] for record in store.list_jobs(ANY, 10)]
        assert store.series() == dict.fromkeys(SERIES, 9.0)


def test_a_reader_sees_the_last_commit_while_another_is_under_way(store: Store, database: Path) -> None:
    store.commit(Batch(ended=[ended(job(), 1)], series=SERIES))
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM jobs")
        writer.execute("DELETE FROM series")
        assert store.list_jobs(ANY, 10) == [shown(ended(job(), 1))]
        assert store.series() == SERIES
        writer.execute("COMMIT")
    assert (store.list_jobs(ANY, 10), store.series()) == ([], {})


def test_threads_that_commit_at_once_wait_for_each_other(store: Store) -> None:
    batches = [Batch(running=[job("a", attempt=attempt)]) for attempt in range(1, 41)]
    start = threading.Barrier(8)

    def commit(mine: list[Batch]) -> None:
        start.wait()
        for batch in mine:
            store.commit(batch)

    threads = [threading.Thread(target=commit, args=(batches[index::8],)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.job.attempt for record in store.list_jobs(ANY, 100)) == [*range(1, 41)]


def test_a_store_whose_tables_are_gone_says_so_in_every_way_of_asking(store: Store, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE jobs")
        connection.execute("DROP TABLE series")
    asks: list[tuple[str, Callable[[], object]]] = [
        ("jobs", lambda: store.list_jobs(ANY, 1)),
        ("jobs", lambda: store.find_job("a")),
        ("jobs", store.running_jobs),
        ("jobs", lambda: store.load_history("a")),
        ("series", store.series),
        ("jobs", lambda: store.commit(Batch(running=[job()]))),
        ("jobs", lambda: store.prune(1)),
    ]
    for table, ask in asks:
        with pytest.raises(StoreError) as caught:
            ask()
        assert str(caught.value) == f"{database}: no such table: {table}"


# Forgetting


def test_pruning_forgets_what_ended_before_then_and_nothing_else(store: Store) -> None:
    old, at, young = (
        ended(job(digit), 1, finished_ns=BEGAN_NS + offset)
        for digit, offset in zip("abc", (-1, 0, 1), strict=True)
    )
    running = job("d", start_event_ns=1)
    store.commit(Batch(running=[running], ended=[old, at, young], series=SERIES))
    assert store.prune(BEGAN_NS) == 1
    assert store.list_jobs(ANY, 10) == [shown(young), shown(at), JobRecord(running, None)]
    assert store.series() == SERIES
    assert store.prune(BEGAN_NS) == 0


def test_a_pruning_that_fails_forgets_nothing(store: Store, database: Path) -> None:
    store.commit(Batch(ended=[ended(job(digit), 1) for digit in "abc"]))
    with trigger(database, "BEFORE DELETE ON jobs WHEN OLD.name = 'gentle-stingray-b'", "ABORT"):
        with pytest.raises(StoreError) as caught:
            store.prune(2**62)
        assert str(caught.value) == f"{database}: not today"
        assert len(store.list_jobs(ANY, 10)) == 3


# Finding


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ANY, "rebdca"),
        (JobFilter(status=Status.RUNNING), "r"),
        (JobFilter(status=Status.DONE), "d"),
        (JobFilter(status=Status.FAILED), "ea"),
        (JobFilter(status=Status.TERMINATED), "b"),
        (JobFilter(status=Status.UNKNOWN), "c"),
        (JobFilter(reason="OOMKilled"), "a"),
        (JobFilter(reason="oomkilled"), ""),
        (JobFilter(reason="%"), ""),
        (JobFilter(code=0), "d"),
        (JobFilter(code=137), "ba"),
        (JobFilter(workload="night/report"), "ea"),
        (JobFilter(workload=""), ""),
        (JobFilter(since_ns=BEGAN_NS + 90 * SECOND_NS), "rebd"),
        (JobFilter(code=137, status=Status.TERMINATED), "b"),
        (JobFilter(code=137, workload="night/report", since_ns=0, reason="OOMKilled"), "a"),
        (JobFilter(code=137, workload="night/report", status=Status.DONE), ""),
    ],
)
def test_a_filter_finds_the_jobs_for_which_all_of_it_holds(
    store: Store, wanted: JobFilter, found: str
) -> None:
    night = Workload("night/report", "img")
    jobs = {
        digit: job(digit, name=digit, start_event_ns=BEGAN_NS + offset)
        for offset, digit in enumerate("acdber", start=-2)
    }
    store.commit(
        Batch(
            running=[jobs["r"]],
            ended=[
                ended(replace(jobs["a"], workload=night), 137, OOM),
                ended(jobs["b"], 137, STOPPED),
                ended(jobs["c"], None),
                ended(jobs["d"], 0),
                ended(replace(jobs["e"], workload=night), 127, NOT_STARTED),
            ],
        )
    )
    assert "".join(names(store.list_jobs(wanted, 10))) == found


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_paging_shows_every_job_once_in_order_whatever_begins_meanwhile(
    tmp_path_factory: pytest.TempPathFactory, begins: list[int], limit: int
) -> None:
    there = [ended(job("a", attempt=index, start_event_ns=began), 1) for index, began in enumerate(begins)]
    seen: list[JobRecord] = []
    before: tuple[int, str] | None = None
    with opened(tmp_path_factory.getbasetemp() / "paging" / "exits.db") as store:
        store.prune(2**62)
        store.commit(Batch(ended=there))
        while page := store.list_jobs(ANY, limit, before):
            seen += page
            assert len(page) <= limit
            assert len(seen) <= len(there)
            before = (page[-1].job.start_event_ns, page[-1].job.id)
            newcomer = job("b", attempt=len(seen), start_event_ns=10)
            store.commit(Batch(ended=[ended(newcomer, 1)]))
    expected = sorted(
        (shown(judged) for judged in there), key=lambda each: (each.job.start_event_ns, each.job.id)
    )
    assert seen == expected[::-1]


def test_a_job_is_found_by_its_id_its_name_and_the_beginning_of_its_containers_id(store: Store) -> None:
    store.commit(Batch(running=[job("a"), job("b")]))
    for key in ("aaaaaaaaaaaa-1", "gentle-stingray-a", "a" * 64, "aaaaaaaaaaaa", "a"):
        assert store.find_job(key) == JobRecord(job("a"), None)


def test_a_name_and_a_containers_id_mean_the_newest_attempt_and_a_jobs_id_the_one_it_names(
    store: Store,
) -> None:
    attempts = [job("a", attempt=number, start_event_ns=BEGAN_NS + number) for number in (1, 2, 10, 9)]
    store.commit(Batch(running=attempts))
    for key in ("gentle-stingray-a", "a" * 64, "aaa"):
        assert store.find_job(key) == JobRecord(attempts[2], None)
    assert store.find_job("aaaaaaaaaaaa-9") == JobRecord(attempts[3], None)


def test_a_name_that_was_given_again_means_its_newest_container(store: Store) -> None:
    old, new = job("a", name="batch"), job("b", name="batch", start_event_ns=BEGAN_NS + 1)
    store.commit(Batch(running=[new, old]))
    assert store.find_job("batch") == JobRecord(new, None)


def test_a_jobs_id_goes_before_a_container_of_that_name(store: Store) -> None:
    namesake = job("b", name="aaaaaaaaaaaa-1", start_event_ns=BEGAN_NS + 1)
    store.commit(Batch(running=[job("a"), namesake]))
    assert store.find_job("aaaaaaaaaaaa-1") == JobRecord(job("a"), None)


def test_a_name_goes_before_the_beginning_of_another_containers_id(store: Store) -> None:
    named, other = job("a", name="db"), job("d", container_id="db" * 32, start_event_ns=BEGAN_NS + 1)
    store.commit(Batch(running=[named, other]))
    assert store.find_job("db") == JobRecord(named, None)


@pytest.mark.parametrize("key", ["%", "_", "a%", "gentle%", "gentle_stingray_a", "a/", "\\", ""])
def test_nothing_but_a_beginning_is_taken_for_one(store: Store, key: str) -> None:
    store.commit(Batch(running=[job("a")]))
    assert store.find_job(key) is None


@pytest.mark.parametrize("name", ["50%_done", "a_b", "%", "back\\slash", "sla/sh", "'; DROP TABLE jobs; --"])
def test_any_character_in_a_name_is_only_itself(store: Store, name: str) -> None:
    store.commit(Batch(running=[job("a", name=name), job("b", start_event_ns=BEGAN_NS + 1)]))
    assert store.find_job(name) == JobRecord(job("a", name=name), None)


def test_of_a_container_its_attempts_and_last_end_are_remembered(store: Store) -> None:
    first, second = job("a"), job("a", attempt=2, start_event_ns=BEGAN_NS + 1)
    assert store.load_history("a" * 64) is None
    store.commit(Batch(running=[first, job("b", attempt=7)]))
    assert store.load_history("a" * 64) == ContainerHistory(
        1, None, recorded_event_times=frozenset({first.start_event_ns})
    )
    end = ended(first, 1)
    store.commit(Batch(running=[second], ended=[end]))
    told = {first.start_event_ns, end.exit.finished_ns, second.start_event_ns}
    assert store.load_history("a" * 64) == ContainerHistory(
        2, end.exit.finished_ns, recorded_event_times=frozenset(told)
    )
    assert store.load_history("a" * 12) is None


def test_an_end_that_was_told_late_is_remembered_by_its_own_time_and_by_its_events(store: Store) -> None:
    late = ended(job(), 137, event_ns=BEGAN_NS + 101 * SECOND_NS)
    store.commit(Batch(ended=[late]))
    remembered = store.load_history("a" * 64)
    assert remembered is not None
    assert remembered.last_end_ns == late.exit.finished_ns
    assert late.exit.event_ns in remembered.recorded_event_times


def test_that_the_latest_start_failed_is_remembered_until_one_succeeds(store: Store) -> None:
    def remembered_failure() -> int | None:
        past = store.load_history("a" * 64)
        return None if past is None else past.failed_start_ns

    ran, failed, again = (job(attempt=number, start_event_ns=BEGAN_NS + number) for number in (1, 2, 3))
    store.commit(Batch(ended=[ended(ran, 1)]))
    assert remembered_failure() is None
    failure = ended(replace(failed, started_ns=None), 127, NOT_STARTED)
    store.commit(Batch(ended=[failure]))
    assert remembered_failure() == failure.exit.finished_ns
    store.commit(Batch(running=[again]))
    assert remembered_failure() is None


def test_what_ran_on_another_engine_that_is_watched_is_not_remembered_of_this_one(store: Store) -> None:
    """Hosts made from one image have containers with equal ids."""
    here, there, unwatched = (
        ended(job(engine=engine, attempt=attempt, key=engine), attempt)
        for attempt, engine in enumerate(("here", "there", "unwatched"), start=1)
    )
    store.commit(Batch(ended=[here, there]))
    past = store.load_history("a" * 64, frozenset({"there"}))
    assert past is not None
    assert past.attempts == 1
    assert store.load_history("a" * 64, frozenset({"here", "there"})) is None
    store.commit(Batch(ended=[unwatched]))
    past = store.load_history("a" * 64, frozenset({"here", "there"}))
    assert past is not None
    assert past.attempts == 3


def test_what_runs_is_told_for_all_hosts_or_for_one(store: Store) -> None:
    here, there = job("a"), job("b", instance="node-2")
    store.commit(Batch(running=[here, there], ended=[ended(job("c"), 0)]))
    assert sorted(store.running_jobs(), key=lambda each: each.id) == [here, there]
