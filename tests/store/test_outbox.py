"""The outbox: entries are committed with their jobs, and leave together with the counters of their export."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.model import ClassifiedExit, SeriesKey, TelemetrySignal, Trace
from exporter.store import Batch, OutboxEntry, OutboxUpdate, Store, StoreError
from exporter.store.outbox import ExpiredEntry
from exporter.store.retention import Retention
from tests.lab.wait import wait_until
from tests.store.files import opened, trigger
from tests.store.samples import ANY, BEGAN_NS, ended, job, shown

TRACES, LOGS = TelemetrySignal.TRACES, TelemetrySignal.LOGS
BOTH = frozenset(TelemetrySignal)
SERIES: dict[SeriesKey, float] = {("exit_exporter_otlp_jobs_exported_total", ("traces",)): 7}
LATER: dict[SeriesKey, float] = {("exit_exporter_otlp_jobs_exported_total", ("traces",)): 8}


def failed(digit: str = "a") -> ClassifiedExit:
    """Return the exit of a failed job with its trace."""
    return replace(ended(job(digit), 1), trace=Trace(digit * 32, digit * 16))


def batch(digits: str, *signals: TelemetrySignal) -> Batch:
    """Return a batch of such exits, to be exported."""
    exits = [failed(digit) for digit in digits]
    entries = [(each.exit.job.id, signal) for each in exits for signal in signals or (TRACES,)]
    return Batch(ended=exits, series=SERIES, outbox=entries)


def entry(number: int, digit: str, *, was_rejected: bool = False) -> OutboxEntry:
    """Return the entry of such an exit."""
    return OutboxEntry(number, shown(failed(digit)), was_rejected, 0)


def entries(store: Store, limit: int) -> list[OutboxEntry]:
    """Return the oldest entries, without the time of their commit."""
    return [replace(each, enqueued_ns=0) for each in store.outbox.pending(TRACES, limit)]


def pending(store: Store, signal: TelemetrySignal = TRACES) -> str:
    """Return the digits of the jobs that are pending, in their order."""
    entries = store.outbox.pending(signal, 100)
    assert store.outbox.count_pending(signal) == len(entries)
    return "".join(each.record.job.container_id[0] if each.record else "-" for each in entries)


def execute(database: Path, statement: str) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement)


# Enqueueing


def test_entries_are_committed_with_jobs_and_series(store: Store, database: Path) -> None:
    store.commit(batch("ab"))
    assert entries(store, 10) == [entry(1, "a"), entry(2, "b")]
    assert store.reader.list_jobs(ANY, 10).records == [entry(2, "b").record, entry(1, "a").record]
    assert store.series() == SERIES
    store.close()
    with opened(database) as again:
        assert entries(again, 10) == [entry(1, "a"), entry(2, "b")]


def test_a_batch_without_entries_enqueues_nothing(store: Store) -> None:
    store.commit(Batch(ended=[failed()]))
    assert pending(store) == ""


@pytest.mark.parametrize("how", ["ABORT", "FAIL", "ROLLBACK"])
@pytest.mark.parametrize(
    "when",
    [
        "AFTER INSERT ON jobs WHEN NEW.name = 'gentle-stingray-b'",
        "AFTER INSERT ON series",
        "AFTER INSERT ON outbox WHEN NEW.job_id = 'bbbbbbbbbbbb-1'",
    ],
)
def test_a_failed_commit_leaves_nothing_and_can_be_retried(
    store: Store, database: Path, when: str, how: str
) -> None:
    with trigger(database, when, how):
        with pytest.raises(StoreError) as caught:
            store.commit(batch("abc"))
        assert str(caught.value) == f"{database}: not today"
        assert (store.reader.list_jobs(ANY, 10).records, store.series(), pending(store)) == ([], {}, "")
    store.commit(batch("abc"))
    assert (len(store.reader.list_jobs(ANY, 10).records), store.series(), pending(store)) == (
        3,
        SERIES,
        "abc",
    )


def test_a_job_is_enqueued_once_and_keeps_its_place(store: Store) -> None:
    store.commit(replace(batch("a"), outbox=[(job().id, TRACES), (job().id, TRACES)]))
    store.commit(batch("b"))
    store.commit(batch("cba"))
    assert pending(store) == "abc"


def test_each_signal_has_its_own_entries(store: Store) -> None:
    store.commit(batch("ab", LOGS, TRACES))
    store.commit(batch("c", LOGS))
    assert (pending(store, TRACES), pending(store, LOGS)) == ("ab", "abc")
    store.outbox.apply(OutboxUpdate([each.number for each in store.outbox.pending(LOGS, 2)]))
    assert (pending(store, TRACES), pending(store, LOGS)) == ("ab", "c")


def test_entries_are_in_the_order_in_which_they_were_enqueued(store: Store) -> None:
    for digit in "cab":
        store.commit(batch(digit))
    assert pending(store) == "cab"
    assert entries(store, 2) == [entry(1, "c"), entry(2, "a")]
    store.outbox.apply(OutboxUpdate([3]))
    store.commit(batch("d"))
    assert pending(store) == "cad"


def test_an_entry_of_a_deleted_job_has_no_record(store: Store, database: Path) -> None:
    store.commit(batch("ab"))
    execute(database, "DELETE FROM jobs WHERE name = 'gentle-stingray-a'")
    assert entries(store, 10) == [OutboxEntry(1, None, was_rejected=False, enqueued_ns=0), entry(2, "b")]


# Updates


def test_removed_entries_are_deleted_without_their_jobs(store: Store) -> None:
    store.commit(batch("abc"))
    for _ in range(2):
        store.outbox.apply(OutboxUpdate([1, 3], series=LATER))
        assert (pending(store), store.series(), len(store.reader.list_jobs(ANY, 10).records)) == (
            "b",
            LATER,
            3,
        )
    store.commit(batch("a"))
    assert pending(store) == "ba"


def test_dead_letters_are_not_pending_until_they_are_requeued(database: Path) -> None:
    with opened(database) as store:
        store.commit(batch("abc"))
        store.outbox.apply(OutboxUpdate(rejected={2: "HTTP 400: no"}, series=LATER))
        assert (pending(store), store.series()) == ("ac", LATER)
        store.commit(batch("b"))
        assert pending(store) == "ac"
    with opened(database) as store:
        assert pending(store) == "ac"
        store.outbox.requeue_dead_letters()
        # Last, so that an entry which is rejected again holds up no other.
        expected = [entry(1, "a"), entry(3, "c"), entry(2, "b", was_rejected=True)]
        assert entries(store, 10) == expected
        assert store.outbox.count_pending(TRACES) == 3


def test_the_cause_of_a_rejection_is_recorded(store: Store, database: Path) -> None:
    store.commit(batch("ab"))
    store.outbox.apply(OutboxUpdate(rejected={1: "HTTP 400: 'no'; DROP TABLE outbox"}))
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT job_id, aside, refused FROM outbox ORDER BY number").fetchall()
    assert rows == [("aaaaaaaaaaaa-1", 1, "HTTP 400: 'no'; DROP TABLE outbox"), ("bbbbbbbbbbbb-1", 0, None)]


@pytest.mark.parametrize(
    "when",
    ["BEFORE DELETE ON outbox WHEN OLD.number = 2", "BEFORE UPDATE ON outbox", "BEFORE INSERT ON series"],
)
def test_a_failed_update_changes_nothing_and_can_be_retried(store: Store, database: Path, when: str) -> None:
    store.commit(batch("abc"))
    update = OutboxUpdate([1, 2], {3: "no"}, LATER)
    with trigger(database, when, "ABORT"):
        with pytest.raises(StoreError) as caught:
            store.outbox.apply(update)
        assert str(caught.value) == f"{database}: not today"
        assert (pending(store), store.series()) == ("abc", SERIES)
    store.outbox.apply(update)
    assert (pending(store), store.series()) == ("", LATER)


def test_concurrent_commits_and_updates_lose_and_double_nothing(store: Store) -> None:
    removed: list[str] = []
    committed = threading.Event()

    def commit() -> None:
        for attempt in range(1, 61):
            end = ended(job("a", attempt=attempt), 1)
            store.commit(Batch(ended=[end], outbox=[(end.exit.job.id, TRACES)]))
        committed.set()

    def remove() -> None:
        over = False
        while not over:
            over = committed.is_set()
            entries = store.outbox.pending(TRACES, 7)
            removed.extend(each.record.job.id for each in entries if each.record)
            store.outbox.apply(OutboxUpdate([each.number for each in entries]))
            over = over and not entries

    threads = [threading.Thread(target=work) for work in (commit, remove)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert removed == [f"aaaaaaaaaaaa-{attempt}" for attempt in range(1, 61)]
    assert store.outbox.count_pending(TRACES) == 0


# Expiry


@pytest.mark.parametrize(
    ("limits", "numbers"),
    [
        ((0, 0, 10), [1, 2, 3, 4, 5]),
        ((0, 1, 10), [1, 2, 3, 4]),
        ((0, 4, 10), [1]),
        ((0, 5, 10), []),
        ((1001, 10, 10), []),
        ((1003, 10, 10), [1, 2]),
        ((1006, 10, 10), [1, 2, 3, 4, 5]),
        ((1003, 4, 10), [1, 2]),
        ((1002, 2, 10), [1, 2, 3]),
        ((1006, 0, 2), [1, 2]),
    ],
)
def test_entries_expire_by_age_and_by_number(
    store: Store, database: Path, limits: tuple[int, int, int], numbers: list[int]
) -> None:
    store.commit(batch("abcde"))
    execute(database, "UPDATE outbox SET kept_ns = 1000 + number")
    expired = store.outbox.expired(TRACES, *limits)
    assert expired == [ExpiredEntry(number, is_pending=True) for number in numbers]


def test_dead_letters_expire_too(store: Store) -> None:
    store.commit(batch("abc"))
    store.outbox.apply(OutboxUpdate(rejected={1: "no", 3: "no"}))
    assert store.outbox.expired(TRACES, 0, 1, 10) == [
        ExpiredEntry(1, is_pending=False),
        ExpiredEntry(2, is_pending=True),
    ]


def test_each_signal_expires_by_itself(store: Store) -> None:
    store.commit(batch("abc", LOGS, TRACES))
    for signal, number in ((TRACES, 2), (LOGS, 1)):
        assert store.outbox.expired(signal, 0, 2, 10) == [ExpiredEntry(number, is_pending=True)]


# Retention


def test_jobs_in_the_outbox_are_not_pruned(store: Store) -> None:
    store.commit(batch("abc"))
    store.commit(Batch(ended=[failed("d")]))
    store.outbox.apply(OutboxUpdate([1], {2: "no"}))
    assert store.prune(2**62) == 2
    assert store.reader.list_jobs(ANY, 10).records == [entry(3, "c").record, entry(2, "b").record]
    store.outbox.apply(OutboxUpdate([2, 3]))
    assert store.prune(BEGAN_NS) == 0
    assert store.prune(2**62) == 2
    assert store.reader.list_jobs(ANY, 10).records == []


@pytest.mark.parametrize(
    ("job_seconds", "outbox_seconds", "jobs", "entries"),
    [(1.0, 1e-9, "", ""), (1.0, 0.0, "a", "a"), (0.0, 1e-9, "ba", ""), (0.0, 0.0, "ba", "a")],
)
def test_jobs_and_the_outbox_have_an_age_each(
    store: Store, job_seconds: float, outbox_seconds: float, jobs: str, entries: str
) -> None:
    old = [ended(job(digit), 1, finished_ns=1) for digit in "ab"]
    store.commit(Batch(ended=old, outbox=[(old[0].exit.job.id, TRACES)]))
    Retention(store, job_seconds, outbox_seconds, BOTH).delete_old()
    assert "".join(record.job.container_id[0] for record in store.reader.list_jobs(ANY, 10).records) == jobs
    assert pending(store) == entries


def test_the_outbox_expires_also_when_jobs_are_kept_for_ever(store: Store) -> None:
    store.commit(batch("ab"))
    retention = Retention(store, 0.0, 1e-9, BOTH)
    retention.start()
    assert wait_until(lambda: store.outbox.count_pending(TRACES) == 0, 5.0)
    retention.stop()
    assert len(store.reader.list_jobs(ANY, 10).records) == 2


def test_retention_keeps_the_entries_of_exported_signals(store: Store) -> None:
    store.commit(batch("ab"))
    Retention(store, 0.0, 1e-9, frozenset({LOGS})).delete_old()
    assert pending(store) == "ab"
    assert store.outbox.delete_older(0, BOTH) == 0
    assert store.outbox.delete_older(2**62, BOTH) == 2


# A closed store


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.commit(batch("b")),
        lambda store: store.outbox.apply(OutboxUpdate([1], series=LATER)),
        lambda store: store.outbox.apply(OutboxUpdate()),
        lambda store: store.outbox.requeue_dead_letters(),
        lambda store: store.prune(2**62),
        lambda store: store.instance_id,
    ],
    ids=["commit", "apply", "apply nothing", "requeue", "prune", "instance_id"],
)
def test_a_closed_store_refuses_writes(database: Path, write: Callable[[Store], object]) -> None:
    with opened(database) as store:
        store.commit(batch("a"))
    with pytest.raises(StoreError) as caught:
        write(store)
    assert str(caught.value) == f"{database}: is closed"
    with opened(database) as again:
        assert (pending(again), again.series(), len(again.reader.list_jobs(ANY, 10).records)) == (
            "a",
            SERIES,
            1,
        )
