"""Batches: recorded whole or not at all, found again as they were, and pruned."""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.model import (
    SECOND_NS,
    ClassifiedExit,
    Cursor,
    Evidence,
    Job,
    JobRecord,
    SeriesKey,
)
from exporter.store import Batch, Store, StoreError
from exporter.store.pruning import STEP_ROWS
from exporter.store.retention import Retention
from exporter.store.series import as_json
from tests.store.files import fill, opened, small_disk, trigger
from tests.store.samples import ANY, BEGAN_NS, OOM, STOPPED, ended, job, shown
from tests.store.strategies import ENDS

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
    series = {("container_exits_total", ()): 1}
    store.commit(Batch(running=[job("b")], ended=[ended(job("a"), 137)], series=series))
    with store._database.transaction() as connection:
        connection.exec_driver_sql("UPDATE series SET value = 2")
        connection.exec_driver_sql("DELETE FROM jobs")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def progress(run: Job) -> tuple[Any, ...]:
    """Return what has happened in a run, and what it ran on, which is no part of its equality."""
    image = run.runtime, run.image_id, run.image_digests
    return *image, run.restarts, run.kills, run.oom_kills, run.notes


# Recording


def test_jobs_and_series_of_a_batch_are_recorded_together(store: Store) -> None:
    running, failed = job("a"), ended(job("b", start_event_ns=BEGAN_NS - 1), 137, OOM, oom_kills=2)
    store.commit(Batch(running=[running], ended=[failed], series=SERIES))
    store.commit(Batch())
    assert store.reader.list_jobs(ANY, 10).records == [JobRecord(running, None), shown(failed)]
    assert store.series() == SERIES


@given(ENDS)
@settings(max_examples=50, deadline=None)
def test_a_job_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, classified: ClassifiedExit
) -> None:
    with opened(tmp_path_factory.getbasetemp() / "whatever" / "exits.db") as store:
        store.commit(Batch(running=[classified.exit.job]))
        running = store.reader.find_job(classified.exit.job.id)
        assert running == JobRecord(classified.exit.job, None)
        assert progress(running.job) == progress(classified.exit.job)
        store.commit(Batch(ended=[classified]))
        over = store.reader.find_job(classified.exit.job.id)
        assert over == shown(classified)
        # The notes of an ended run are in its evidence.
        assert progress(over.job) == progress(replace(classified.exit.job, notes=()))


def test_an_end_replaces_the_running_job(store: Store) -> None:
    store.commit(Batch(running=[job()]))
    for code, evidence in ((143, STOPPED), (0, Evidence())):
        store.commit(Batch(running=[job()], ended=[ended(job(), code, evidence)]))
        assert store.reader.list_jobs(ANY, 10).records == [shown(ended(job(), code, evidence))]


def test_series_survive_reopening_to_the_last_bit(database: Path) -> None:
    with opened(database) as store:
        store.commit(Batch(series=dict.fromkeys(SERIES, 1.0)))
        store.commit(Batch(series=SERIES))
    with opened(database) as store:
        assert store.series() == SERIES


@given(st.lists(st.text(max_size=20), max_size=3).map(tuple))
def test_a_series_is_stored_under_its_labels_as_json_in_the_words_of_every_version(
    labels: tuple[str, ...],
) -> None:
    # An upsert finds the row of a series by this text alone.
    assert as_json(labels) == json.dumps(labels)


def test_a_series_without_a_value_is_deleted(database: Path) -> None:
    deleted, *others = SERIES
    with opened(database) as store:
        store.commit(Batch(series=SERIES))
        store.commit(Batch(series={deleted: None, ("never_there_total", ("x",)): None}))
    with opened(database) as store:
        assert store.series() == {key: SERIES[key] for key in others}


def test_what_is_shown_of_a_series_is_kept_until_its_value_is_shown(database: Path) -> None:
    held, *_ = SERIES
    with opened(database) as store:
        assert (store.shown_series(), store.scrape_interval()) == ({}, None)
        store.commit(Batch(series=SERIES, shown={held: 0.0}, scrape_interval=15))
        store.commit(Batch())
    with opened(database) as store:
        assert (store.series(), store.shown_series(), store.scrape_interval()) == (SERIES, {held: 0}, 15)
        store.commit(Batch(series={held: SERIES[held]}, scrape_interval=60))
        assert (store.series(), store.shown_series(), store.scrape_interval()) == (SERIES, {}, 60)


@pytest.mark.parametrize("how", ["ABORT", "FAIL", "ROLLBACK"])
@pytest.mark.parametrize(
    "when",
    [
        "AFTER INSERT ON jobs WHEN NEW.name = 'gentle-stingray-b'",
        "AFTER INSERT ON series WHEN NEW.name = 'exit_exporter_store_errors_total'",
    ],
)
def test_a_failed_batch_leaves_nothing_and_can_be_retried(
    store: Store, database: Path, when: str, how: str
) -> None:
    batch = Batch(running=[job("a"), job("b")], ended=[ended(job("c"), 1)], series=SERIES)
    with trigger(database, when, how):
        with pytest.raises(StoreError) as caught:
            store.commit(batch)
        assert str(caught.value) == f"{database}: not today"
        assert (store.reader.list_jobs(ANY, 10).records, store.series()) == ([], {})
    store.commit(batch)
    assert [record.job.container_id[0] for record in store.reader.list_jobs(ANY, 10).records] == [*"cba"]
    assert store.series() == SERIES


def test_a_commit_survives_a_kill_and_an_open_transaction_does_not(database: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(database)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    with opened(database) as store:
        assert store.reader.list_jobs(ANY, 10).records == [
            JobRecord(job("b"), None),
            shown(ended(job("a"), 137)),
        ]
        assert store.series() == {("container_exits_total", ()): 1}


def test_a_full_disk_refuses_a_batch_until_there_is_space(tmp_path: Path) -> None:
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
            assert (store.reader.list_jobs(ANY, 10).records, store.series()) == ([shown(first)], SERIES)
        filler.unlink()
        store.commit(more)
        assert [record.job.container_id[0] for record in store.reader.list_jobs(ANY, 10).records] == [
            *"fedcba"
        ]
        assert store.series() == dict.fromkeys(SERIES, 9.0)


def test_a_reader_sees_the_last_commit(store: Store, database: Path) -> None:
    store.commit(Batch(ended=[ended(job(), 1)], series=SERIES))
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM jobs")
        writer.execute("DELETE FROM series")
        assert store.reader.list_jobs(ANY, 10).records == [shown(ended(job(), 1))]
        assert store.series() == SERIES
        writer.execute("COMMIT")
    assert (store.reader.list_jobs(ANY, 10).records, store.series()) == ([], {})


def test_concurrent_commits_wait_for_each_other(store: Store) -> None:
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
    assert sorted(record.job.attempt for record in store.reader.list_jobs(ANY, 100).records) == [
        *range(1, 41)
    ]


@pytest.mark.parametrize(
    ("table", "use"),
    [
        ("jobs", lambda store: store.reader.list_jobs(ANY, 1).records),
        ("jobs", lambda store: store.reader.find_job("a")),
        ("jobs", lambda store: store.running_jobs()),
        ("jobs", lambda store: store.load_history("a")),
        ("series", lambda store: store.series()),
        ("jobs", lambda store: store.commit(Batch(running=[job()]))),
        ("jobs", lambda store: store.prune(1)),
    ],
)
def test_every_method_reports_a_missing_table(
    store: Store, database: Path, table: str, use: Callable[[Store], object]
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"DROP TABLE {table}")
    with pytest.raises(StoreError) as caught:
        use(store)
    assert str(caught.value) == f"{database}: no such table: {table}"


# Pruning


def test_only_jobs_that_ended_before_a_time_are_pruned(store: Store) -> None:
    old, at, young = (
        ended(job(digit), 1, finished_ns=BEGAN_NS + offset)
        for digit, offset in zip("abc", (-1, 0, 1), strict=True)
    )
    running = job("d", start_event_ns=1)
    store.commit(Batch(running=[running], ended=[old, at, young], series=SERIES))
    for count in (1, 0):
        assert store.prune(BEGAN_NS) == count
        assert store.reader.list_jobs(ANY, 10).records == [shown(young), shown(at), JobRecord(running, None)]
        assert store.series() == SERIES
        assert store.pruned_before_ns == BEGAN_NS


@pytest.mark.parametrize(
    ("cursor", "kept"),
    [
        (Cursor(BEGAN_NS + 60 * SECOND_NS, 0), "c"),
        (Cursor(BEGAN_NS + 12 * SECOND_NS, 0), "bc"),
        (Cursor(BEGAN_NS, 0), "abc"),
        (Cursor(BEGAN_NS, BEGAN_NS + 60 * SECOND_NS), "c"),
    ],
    ids=["newer events", "some newer events", "no newer event", "watched only since"],
)
def test_a_job_is_kept_while_its_engine_may_replay_its_events(
    store: Store, cursor: Cursor, kept: str
) -> None:
    ends = {"a": 0, "b": 2, "c": 60}
    exits = [ended(job(digit), 1, finished_ns=BEGAN_NS + ends[digit] * SECOND_NS) for digit in ends]
    store.commit(Batch(ended=exits, cursors={job().engine: cursor}))
    assert store.prune(2**62) == len(ends) - len(kept)
    assert {record.job.container_id[0] for record in store.reader.list_jobs(ANY, 10).records} == {*kept}


def test_nothing_counts_as_deleted_that_an_engine_which_is_away_had_not_reported_by_then(
    database: Path,
) -> None:
    away_ns, watched_ns = BEGAN_NS + 60 * SECOND_NS, BEGAN_NS + 900 * SECOND_NS
    cursors = {"away": Cursor(away_ns, 0), "watched": Cursor(watched_ns, 0)}
    with opened(database) as store:
        store.commit(Batch(cursors=cursors))
        store.prune(BEGAN_NS + 800 * SECOND_NS)
        # It is back, and was read up to now: what was deleted of it is still the same.
        store.commit(Batch(cursors={"away": Cursor(watched_ns, 0)}))
        store.prune(BEGAN_NS)
    with opened(database) as store:
        found = [store.pruned_of(engine) - BEGAN_NS for engine in ("away", "watched", "never read")]
        assert found == [49 * SECOND_NS, 800 * SECOND_NS, 800 * SECOND_NS]


def test_jobs_are_pruned_in_steps_between_which_exits_are_recorded(store: Store) -> None:
    exits = [
        ended(job("a", attempt=number), 1, finished_ns=BEGAN_NS + number // 2) for number in range(1_200)
    ]
    store.commit(Batch(ended=exits))
    new: list[ClassifiedExit] = []

    def is_stopped() -> bool:
        new.append(ended(job("b", attempt=len(new), start_event_ns=2**62), 1, finished_ns=2**62))
        store.commit(Batch(ended=new))
        assert store.reader.list_jobs(ANY, 1).records == [shown(new[-1])]
        return len(new) > 1

    assert (store.prune(2**62, is_stopped), store.pruned_before_ns) == (STEP_ROWS, 2**62)
    assert store.prune(2**62) == len(exits) - STEP_ROWS


@pytest.mark.parametrize(("read_ns", "pruned_ns"), [(BEGAN_NS, BEGAN_NS), (2**62 + 1, 2**62)])
def test_no_exit_counts_as_deleted_that_no_engine_can_have_had_yet(
    database: Path, read_ns: int, pruned_ns: int
) -> None:
    said = "a clock was ahead: jobs count as deleted only up to the latest time of an engine"
    with opened(database) as store:
        store.commit(Batch(cursors={"engine": Cursor(2**62, 2**62 + 10 * SECOND_NS, 2**62)}))
        store.prune(2**62)
        assert store.pruned_of("engine") == 2**62
        store.commit(Batch(cursors={"engine": Cursor(1, 0, read_ns)}))
    with capture_logs() as logs, opened(database) as store:
        assert (store.pruned_before_ns, store.pruned_of("engine")) == (pruned_ns, pruned_ns)
        # Deleting goes on from there; what was deleted by the clock that was ahead stays known.
        store.prune(pruned_ns)
        assert store.pruning_mark_of("engine") == 2**62
    with opened(database) as store:
        assert (store.pruned_of("engine"), store.pruning_mark_of("engine")) == (pruned_ns, 2**62)
    assert [line["event"] for line in logs] == ([said] if pruned_ns < 2**62 else [])


def test_a_clock_that_is_ahead_of_the_engines_deletes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    young, old = (ended(job(digit), 1, finished_ns=BEGAN_NS + at) for digit, at in (("a", 100), ("b", 0)))
    now_ns = BEGAN_NS + 60 * SECOND_NS
    store.commit(Batch(ended=[young, old], cursors={"engine": Cursor(1, 0, now_ns)}))
    monkeypatch.setattr(time, "time_ns", lambda: 2 * now_ns)
    retention = Retention(store, 60 - 50e-9, 0, frozenset())
    with capture_logs() as logs:
        assert [retention.delete_old() for _ in range(3)] == [1, 0, 0]
    assert [line["event"] for line in logs] == [
        "old jobs are kept: no engine has confirmed the time of this machine's clock"
    ]
    assert store.reader.list_jobs(ANY, 10).records == [shown(young)]


def test_a_failed_pruning_deletes_nothing(store: Store, database: Path) -> None:
    store.commit(Batch(ended=[ended(job(digit), 1) for digit in "abc"]))
    with trigger(database, "BEFORE DELETE ON jobs WHEN OLD.name = 'gentle-stingray-b'", "ABORT"):
        with pytest.raises(StoreError) as caught:
            store.prune(2**62)
        assert str(caught.value) == f"{database}: not today"
        assert len(store.reader.list_jobs(ANY, 10).records) == 3


# Identity


def test_each_database_has_an_instance_id_that_stays(tmp_path: Path) -> None:
    found: list[str] = []
    for path in ("one/exits.db", "one/exits.db", "two/exits.db"):
        with opened(tmp_path / path) as store:
            found += [store.instance_id, store.instance_id]
    one, two = found[0], found[-1]
    assert found == [one] * 4 + [two] * 2
    assert one != two
    assert (str(UUID(one)), str(UUID(two))) == (one, two)
