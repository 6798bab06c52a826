"""The outbox: what is posted with a batch waits, the oldest first, until it is settled with its counters."""

import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from exporter.model import ClassifiedExit, SeriesKey, TelemetrySignal, Trace
from exporter.store import Batch, JobFilter, OutboxEntry, OutboxUpdate, Store, StoreError
from exporter.store.outbox import ExpiredEntry
from exporter.store.retention import Retention
from tests.lab.wait import wait_until
from tests.store.files import opened, trigger
from tests.store.samples import ANY, BEGAN_NS, ended, job, shown

TRACES, LOGS = TelemetrySignal.TRACES, TelemetrySignal.LOGS
SERIES: dict[SeriesKey, float] = {("exit_exporter_otlp_jobs_exported_total", ("traces",)): 7}
LATER: dict[SeriesKey, float] = {("exit_exporter_otlp_jobs_exported_total", ("traces",)): 8}


def failed(digit: str = "a") -> ClassifiedExit:
    """Give the end of a failed job with its trace."""
    return replace(ended(job(digit), 1), trace=Trace(digit * 32, digit * 16))


def posting(digits: str, *signals: TelemetrySignal) -> Batch:
    """Give a batch of such ends, of which a collector is to be told."""
    ends = [failed(digit) for digit in digits]
    return Batch(
        ended=ends,
        series=SERIES,
        outbox=[(each.exit.job.id, signal) for each in ends for signal in signals or (TRACES,)],
    )


def letter(number: int, digit: str, *, was_rejected: bool = False) -> OutboxEntry:
    """Give the letter about such an end."""
    return OutboxEntry(number, shown(failed(digit)), was_rejected)


def waiting(store: Store, signal: TelemetrySignal = TRACES) -> str:
    """Tell of which jobs letters wait, by their digits."""
    letters = store.outbox.pending(signal, 100)
    assert store.outbox.count_pending(signal) == len(letters)
    return "".join(each.record.job.container_id[0] if each.record else "-" for each in letters)


def change(database: Path, *statements: str) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# Posting


def test_what_is_posted_with_a_batch_is_on_record_with_its_jobs_and_series(store: Store) -> None:
    store.commit(posting("ab"))
    assert store.outbox.pending(TRACES, 10) == [letter(1, "a"), letter(2, "b")]
    assert store.list_jobs(ANY, 10) == [letter(2, "b").record, letter(1, "a").record]
    assert store.series() == SERIES


def test_a_batch_without_letters_posts_nothing(store: Store) -> None:
    store.commit(Batch(ended=[failed()]))
    assert (store.outbox.pending(TRACES, 10), store.outbox.count_pending(TRACES)) == ([], 0)


@pytest.mark.parametrize("how", ["ABORT", "FAIL", "ROLLBACK"])
@pytest.mark.parametrize(
    "when",
    [
        "AFTER INSERT ON jobs WHEN NEW.name = 'gentle-stingray-b'",
        "AFTER INSERT ON series",
        "AFTER INSERT ON outbox WHEN NEW.job_id = 'bbbbbbbbbbbb-1'",
    ],
)
def test_a_commit_that_fails_leaves_neither_job_series_nor_letter_and_can_be_tried_again(
    store: Store, database: Path, when: str, how: str
) -> None:
    with trigger(database, when, how):
        with pytest.raises(StoreError) as caught:
            store.commit(posting("abc"))
        assert str(caught.value) == f"{database}: not today"
        assert (store.list_jobs(ANY, 10), store.series(), waiting(store)) == ([], {}, "")
    store.commit(posting("abc"))
    assert (len(store.list_jobs(ANY, 10)), store.series(), waiting(store)) == (3, SERIES, "abc")


def test_what_waits_survives_reopening(database: Path) -> None:
    with opened(database) as store:
        store.commit(posting("ab"))
    with opened(database) as store:
        assert store.outbox.pending(TRACES, 10) == [letter(1, "a"), letter(2, "b")]


def test_posted_twice_is_once_and_keeps_its_place(store: Store) -> None:
    store.commit(posting("ab"))
    store.commit(posting("cba"))
    assert waiting(store) == "abc"


def test_posted_twice_within_one_batch_is_once(store: Store) -> None:
    store.commit(replace(posting("a"), outbox=[(job().id, TRACES), (job().id, TRACES)]))
    assert waiting(store) == "a"


def test_each_signal_waits_for_itself(store: Store) -> None:
    store.commit(posting("ab", LOGS, TRACES))
    store.commit(posting("c", LOGS))
    assert (waiting(store, TRACES), waiting(store, LOGS)) == ("ab", "abc")
    store.outbox.apply(OutboxUpdate([each.number for each in store.outbox.pending(LOGS, 2)]))
    assert (waiting(store, TRACES), waiting(store, LOGS)) == ("ab", "c")


# Waiting


def test_what_has_waited_longest_comes_first_whenever_its_job_began(store: Store) -> None:
    for digit in "cab":
        store.commit(posting(digit))
    assert waiting(store) == "cab"
    assert store.outbox.pending(TRACES, 2) == [letter(1, "c"), letter(2, "a")]


def test_what_is_posted_when_the_newest_has_gone_still_comes_last(store: Store) -> None:
    store.commit(posting("abc"))
    store.outbox.apply(OutboxUpdate([3]))
    store.commit(posting("d"))
    assert waiting(store) == "abd"


def test_of_a_job_that_is_gone_the_letter_has_no_record(store: Store, database: Path) -> None:
    store.commit(posting("ab"))
    change(database, "DELETE FROM jobs WHERE name = 'gentle-stingray-a'")
    assert store.outbox.pending(TRACES, 10) == [OutboxEntry(1, None, was_rejected=False), letter(2, "b")]


# Settling


def test_what_is_gone_is_forgotten_and_its_job_is_not(store: Store) -> None:
    store.commit(posting("abc"))
    store.outbox.apply(OutboxUpdate([1, 3], series=LATER))
    assert (waiting(store), store.series(), len(store.list_jobs(ANY, 10))) == ("b", LATER, 3)


def test_what_is_settled_twice_is_settled(store: Store) -> None:
    store.commit(posting("ab"))
    for _ in range(2):
        store.outbox.apply(OutboxUpdate([1], series=LATER))
    assert (waiting(store), store.series()) == ("b", LATER)


def test_what_is_gone_can_be_posted_again(store: Store) -> None:
    store.commit(posting("a"))
    store.outbox.apply(OutboxUpdate([1]))
    store.commit(posting("a"))
    assert waiting(store) == "a"


def test_what_is_set_aside_waits_no_more_until_it_is_reopened_and_was_refused_then(store: Store) -> None:
    store.commit(posting("abc"))
    store.outbox.apply(OutboxUpdate(rejected={2: "HTTP 400: no"}, series=LATER))
    assert (waiting(store), store.series()) == ("ac", LATER)
    store.outbox.requeue_dead_letters()
    assert store.outbox.pending(TRACES, 10) == [
        letter(1, "a"),
        letter(3, "c"),
        # Last, so that what is refused once more holds up nobody.
        letter(2, "b", was_rejected=True),
    ]
    assert store.outbox.count_pending(TRACES) == 3


def test_why_it_was_set_aside_is_on_record(store: Store, database: Path) -> None:
    store.commit(posting("ab"))
    store.outbox.apply(OutboxUpdate(rejected={1: "HTTP 400: 'no'; DROP TABLE outbox"}))
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT job_id, aside, refused FROM outbox ORDER BY number").fetchall()
    assert rows == [("aaaaaaaaaaaa-1", 1, "HTTP 400: 'no'; DROP TABLE outbox"), ("bbbbbbbbbbbb-1", 0, None)]


def test_what_is_set_aside_is_not_posted_again(store: Store) -> None:
    store.commit(posting("ab"))
    store.outbox.apply(OutboxUpdate(rejected={1: "no"}))
    store.commit(posting("a"))
    assert waiting(store) == "b"


def test_what_is_set_aside_stays_so_through_reopening_the_store(database: Path) -> None:
    with opened(database) as store:
        store.commit(posting("ab"))
        store.outbox.apply(OutboxUpdate(rejected={1: "no"}))
    with opened(database) as store:
        assert waiting(store) == "b"


@pytest.mark.parametrize(
    "when",
    [
        "BEFORE DELETE ON outbox WHEN OLD.number = 2",
        "BEFORE UPDATE ON outbox",
        "BEFORE INSERT ON series",
    ],
)
def test_a_settlement_that_fails_changes_neither_letters_nor_counters(
    store: Store, database: Path, when: str
) -> None:
    store.commit(posting("abc"))
    settlement = OutboxUpdate([1, 2], {3: "no"}, LATER)
    with trigger(database, when, "ABORT"):
        with pytest.raises(StoreError) as caught:
            store.outbox.apply(settlement)
        assert str(caught.value) == f"{database}: not today"
        assert (waiting(store), store.series()) == ("abc", SERIES)
    store.outbox.apply(settlement)
    assert (waiting(store), store.series()) == ("", LATER)


def test_posting_and_settling_at_once_lose_and_double_nothing(store: Store) -> None:
    settled: list[str] = []
    posted = threading.Event()

    def post() -> None:
        for attempt in range(1, 61):
            end = ended(job("a", attempt=attempt), 1)
            store.commit(Batch(ended=[end], outbox=[(end.exit.job.id, TRACES)]))
        posted.set()

    def settle() -> None:
        over = False
        while not over:
            over = posted.is_set()
            letters = store.outbox.pending(TRACES, 7)
            settled.extend(each.record.job.id for each in letters if each.record)
            store.outbox.apply(OutboxUpdate([each.number for each in letters]))
            over = over and not letters

    threads = [threading.Thread(target=work) for work in (post, settle)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert settled == [f"aaaaaaaaaaaa-{attempt}" for attempt in range(1, 61)]
    assert store.outbox.count_pending(TRACES) == 0


# Overdue


def numbers(overdue: Iterable[ExpiredEntry]) -> list[int]:
    """Give the numbers of letters that all wait."""
    found = list(overdue)
    assert all(each.is_pending for each in found)
    return [each.number for each in found]


def test_beyond_a_number_the_oldest_are_overdue(store: Store) -> None:
    store.commit(posting("abcde"))
    for most, expected in ((0, [1, 2, 3, 4, 5]), (1, [1, 2, 3, 4]), (4, [1]), (5, []), (9, [])):
        assert (most, numbers(store.outbox.expired(TRACES, 0, most, 10))) == (most, expected)


def test_what_was_kept_before_a_moment_is_overdue(store: Store, database: Path) -> None:
    store.commit(posting("abcde"))
    change(database, "UPDATE outbox SET kept_ns = 1000 + number")
    for before_ns, expected in ((0, []), (1001, []), (1003, [1, 2]), (1006, [1, 2, 3, 4, 5])):
        found = numbers(store.outbox.expired(TRACES, before_ns, 10, 10))
        assert (before_ns, found) == (before_ns, expected)


def test_of_age_and_number_the_one_that_finds_more_counts_and_no_more_are_told_than_wanted(
    store: Store, database: Path
) -> None:
    store.commit(posting("abcde"))
    change(database, "UPDATE outbox SET kept_ns = 1000 + number")
    assert numbers(store.outbox.expired(TRACES, 1003, 4, 10)) == [1, 2]
    assert numbers(store.outbox.expired(TRACES, 1002, 2, 10)) == [1, 2, 3]
    assert numbers(store.outbox.expired(TRACES, 1006, 0, 2)) == [1, 2]


def test_what_is_set_aside_counts_among_those_kept_and_is_overdue_without_waiting(store: Store) -> None:
    store.commit(posting("abc"))
    store.outbox.apply(OutboxUpdate(rejected={1: "no", 3: "no"}))
    assert store.outbox.expired(TRACES, 0, 1, 10) == [
        ExpiredEntry(1, is_pending=False),
        ExpiredEntry(2, is_pending=True),
    ]


def test_of_one_signal_the_others_letters_are_not_overdue(store: Store) -> None:
    store.commit(posting("abc", LOGS, TRACES))
    assert numbers(store.outbox.expired(TRACES, 0, 2, 10)) == [2]
    assert numbers(store.outbox.expired(LOGS, 0, 2, 10)) == [1]


# Retention


def test_retention_keeps_the_jobs_of_which_a_collector_is_still_to_be_told(store: Store) -> None:
    store.commit(posting("abc"))
    store.commit(Batch(ended=[failed("d")]))
    store.outbox.apply(OutboxUpdate([1], {2: "no"}))
    assert store.prune(2**62) == 2
    assert store.list_jobs(ANY, 10) == [letter(3, "c").record, letter(2, "b").record]
    store.outbox.apply(OutboxUpdate([2, 3]))
    assert store.prune(2**62) == 2
    assert store.list_jobs(ANY, 10) == []


def test_a_job_that_is_kept_for_the_collector_is_pruned_by_its_own_age_afterwards(store: Store) -> None:
    store.commit(posting("a"))
    store.outbox.apply(OutboxUpdate([1]))
    assert store.prune(BEGAN_NS) == 0
    assert len(store.list_jobs(ANY, 10)) == 1


# Who sends


def test_the_exporter_has_an_id_that_stays_through_reopening_and_is_its_own(tmp_path: Path) -> None:
    found: list[str] = []
    for path in ("one/exits.db", "one/exits.db", "two/exits.db"):
        with opened(tmp_path / path) as store:
            found += [store.instance_id, store.instance_id]
    one, two = found[0], found[-1]
    assert found == [one] * 4 + [two] * 2
    assert one != two
    assert (str(UUID(one)), str(UUID(two))) == (one, two)


# A closed store


@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.commit(posting("b")),
        lambda store: store.outbox.apply(OutboxUpdate([1], series=LATER)),
        lambda store: store.outbox.apply(OutboxUpdate()),
        lambda store: store.outbox.requeue_dead_letters(),
        lambda store: store.prune(2**62),
        lambda store: store.instance_id,
    ],
    ids=["commit", "settle", "settle nothing", "reopen", "prune", "instance_id"],
)
def test_a_closed_store_refuses_instead_of_writing(database: Path, write: Callable[[Store], object]) -> None:
    with opened(database) as store:
        store.commit(posting("a"))
    with pytest.raises(StoreError) as caught:
        write(store)
    assert str(caught.value) == f"{database}: is closed"
    with opened(database) as again:
        assert (waiting(again), again.series(), len(again.list_jobs(ANY, 10))) == ("a", SERIES, 1)


def test_what_nobody_delivers_any_more_is_forgotten_when_it_is_too_old_and_its_job_with_it(
    store: Store,
) -> None:
    store.commit(posting("ab"))
    assert store.outbox.delete_older(0, frozenset(TelemetrySignal)) == 0
    # Of a signal that is delivered, its delivery does that, and counts it.
    Retention(store, 1.0, 1e-9, frozenset({TelemetrySignal.LOGS})).delete_old()
    assert waiting(store) == "ab"
    assert Retention(store, 1.0, 1e-9, frozenset(TelemetrySignal)).delete_old() == 0
    assert waiting(store) == ""
    # They end in the year 2100.
    assert store.prune(2**62) == 2


@pytest.mark.parametrize(
    ("job_seconds", "outbox_seconds", "jobs", "entries"),
    [(1.0, 1e-9, "", ""), (1.0, 0.0, "a", "a"), (0.0, 1e-9, "ba", ""), (0.0, 0.0, "ba", "a")],
)
def test_jobs_and_the_outbox_have_an_age_each(
    store: Store, job_seconds: float, outbox_seconds: float, jobs: str, entries: str
) -> None:
    old = [ended(job(digit), 1, finished_ns=1) for digit in "ab"]
    store.commit(Batch(ended=old, outbox=[(old[0].exit.job.id, TRACES)]))
    Retention(store, job_seconds, outbox_seconds, frozenset(TelemetrySignal)).delete_old()
    assert "".join(record.job.container_id[0] for record in store.list_jobs(ANY, 10)) == jobs
    assert waiting(store) == entries


def test_the_outbox_expires_also_when_jobs_are_kept_for_ever(store: Store) -> None:
    store.commit(posting("ab"))
    retention = Retention(store, 0.0, 1e-9, frozenset(TelemetrySignal))
    retention.start()
    assert wait_until(lambda: store.outbox.count_pending(TRACES) == 0, 5.0)
    retention.stop()
    assert len(store.list_jobs(ANY, 10)) == 2


def test_a_list_of_jobs_leaves_their_logs_out_and_one_job_has_its_own(store: Store) -> None:
    end = ended(job("a"), 1, log_tail="why")
    store.commit(Batch(ended=[end]))
    (listed,), whole = store.list_jobs(JobFilter(), 10), store.find_job(end.exit.job.id)
    assert listed.ended is not None
    assert whole is not None
    assert whole.ended is not None
    assert (listed.ended.exit.log_tail, whole.ended.exit.log_tail) == (None, "why")
