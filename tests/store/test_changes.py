"""The order in which jobs were written: readable from any point on, also by another process."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.model import Status, Submission
from exporter.store import Batch, Store
from exporter.store.changes import ChangeNumbers
from tests.store.files import opened
from tests.store.samples import SUBMISSION, ended, job

REPORT = Submission("dstack", SUBMISSION.id, "run-1")


def changed(store: Store, after: int = 0, limit: int = 100) -> list[tuple[str, Status]]:
    """Return name and status of the jobs that changed, in that order."""
    changes = store.reader.latest_changes(after, limit)
    assert all(first.number < second.number for first, second in pairwise(changes))
    return [(each.record.job.name[-1], each.record.status) for each in changes]


def last(store: Store) -> int:
    """Return the number of the last change."""
    return store.reader.latest_changes(0, 1)[0].number


def test_jobs_are_found_in_the_order_of_their_last_change(store: Store) -> None:
    store.commit(Batch(running=[job("a"), job("b"), job("c")]))
    store.commit(Batch(ended=[ended(job("b"), 0), ended(job("d"), 1)]))
    store.commit(Batch(running=[job("a", restarts=2)]))
    running, done, failed = Status.RUNNING, Status.DONE, Status.FAILED
    assert changed(store) == [("c", running), ("b", done), ("d", failed), ("a", running)]
    assert changed(store, limit=2) == [("d", failed), ("a", running)]
    numbers = [each.number for each in store.reader.latest_changes(0, 100)]
    assert [changed(store, number)[:1] for number in numbers] == [
        [("b", done)],
        [("d", failed)],
        [("a", running)],
        [],
    ]


def test_a_reader_goes_on_after_a_restart(store: Store, database: Path) -> None:
    store.commit(Batch(running=[job("a")]))
    seen = last(store)
    store.close()
    with opened(database) as again:
        assert last(again) == seen
        again.commit(Batch(ended=[ended(job("a"), 0)]))
        assert changed(again, seen) == [("a", Status.DONE)]


def test_a_change_has_no_log(store: Store) -> None:
    store.commit(Batch(ended=[ended(job("a"), 1, log_tail="secret")]))
    (change,) = store.reader.latest_changes(0, 1)
    assert change.record.ended is not None
    assert change.record.ended.exit.log_tail is None


def test_a_report_changes_the_jobs_that_it_is_about(store: Store) -> None:
    retried = job("b", supervised=SUBMISSION)
    store.commit(Batch(running=[job("a", supervised=SUBMISSION), retried, job("c")]))
    seen = last(store)
    store.commit(Batch(submissions=[replace(REPORT, id="another"), REPORT]))
    assert sorted(changed(store, seen)) == [("a", Status.RUNNING), ("b", Status.RUNNING)]
    assert [
        each.record.job.supervised and each.record.job.supervised.submission
        for each in store.reader.latest_changes(seen, 9)
    ] == [REPORT, REPORT]


@pytest.mark.parametrize(
    ("clock", "numbers"),
    [
        ([50, 60, 60, 60], [50, 60, 61, 62]),
        # The clock was set back, and catches up.
        ([50, 3, 52, 9], [50, 51, 52, 53]),
        ([7, 8, 9, 99], [41, 42, 43, 99]),
    ],
)
def test_numbers_rise_whatever_the_clock_does(
    monkeypatch: pytest.MonkeyPatch, clock: list[int], numbers: list[int]
) -> None:
    monkeypatch.setattr("time.time_ns", iter(clock).__next__)
    numbering = ChangeNumbers(40)
    assert [numbering.take() for _ in clock] == numbers
