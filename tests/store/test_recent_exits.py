"""Exits by reason and time: counted in advance or not, they are what a plain count of all jobs finds."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from exporter.model import ClassifiedExit
from exporter.store import Batch, JobFilter, RecentExits, Store, recent_exits
from exporter.store.schema import jobs
from exporter.time_units import DAY_NS, HOUR_NS
from tests.store.files import opened
from tests.store.made_up_exits import MOMENTS, WORKLOADS, exits
from tests.store.plans import plans_of
from tests.store.samples import BEGAN_NS, ended, job

INTERVALS = (HOUR_NS // 4, HOUR_NS, 6 * HOUR_NS, DAY_NS, 7 * DAY_NS)
HOUR = BEGAN_NS // HOUR_NS * HOUR_NS


def counted(found: list[ClassifiedExit], wanted: JobFilter, interval_ns: int) -> Counter[tuple[object, ...]]:
    """Count the exits of a filter one by one."""
    return Counter(
        (each.exit.finished_ns // interval_ns * interval_ns, each.verdict.status, each.verdict.reason)
        for each in found
        if (wanted.since_ns is None or wanted.since_ns <= each.exit.finished_ns)
        and (wanted.until_ns is None or each.exit.finished_ns < wanted.until_ns)
        and wanted.workload in {None, each.exit.job.workload.name}
    )


@given(
    exits(),
    st.builds(
        JobFilter,
        reason=st.sampled_from([None, "Error"]),
        workload=st.sampled_from([None, None, *WORKLOADS]),
        since_ns=st.sampled_from([None, *MOMENTS]),
        until_ns=st.sampled_from([None, *MOMENTS]),
    ),
    st.sampled_from(INTERVALS),
)
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_a_plain_count(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[ClassifiedExit],
    wanted: JobFilter,
    interval_ns: int,
) -> None:
    with opened(tmp_path_factory.getbasetemp() / "recent" / "exits.db") as store:
        with store._database.transaction() as connection:
            connection.execute(delete(jobs))
        store.commit(Batch(running=[job("b")], ended=found))
        counts = store.reader.count_recent_exits(wanted, interval_ns)
    keys = [(each.from_ns, each.status, each.reason) for each in counts.counts]
    assert len(set(keys)) == len(keys)
    assert Counter(dict(zip(keys, (each.count for each in counts.counts), strict=True))) == counted(
        found, wanted, interval_ns
    )
    assert counts.last is None


def of_two_days(store: Store, interval_ns: int) -> RecentExits:
    """Count the exits of a day and a half, one of which ended in each hour."""
    hours = [HOUR + number * HOUR_NS for number in range(-30, 6)]
    store.commit(Batch(ended=[ended(job("a", attempt=hour), 1, finished_ns=hour) for hour in hours]))
    return store.reader.count_recent_exits(JobFilter(since_ns=hours[0]), interval_ns)


@pytest.mark.parametrize(
    ("interval_ns", "queries", "of_jobs"),
    [(HOUR_NS // 4, 1, 1), (HOUR_NS, 1, 0), (DAY_NS, 2, 0)],
    ids=["quarters of an hour", "hours", "days"],
)
def test_whole_hours_and_days_are_read_as_counts(
    database: Path, interval_ns: int, queries: int, of_jobs: int
) -> None:
    with opened(database) as store:
        plans = plans_of(store, lambda: of_two_days(store, interval_ns))
    assert sum("exit_counts" in step for step in plans) == queries - of_jobs
    assert sum("COVERING INDEX jobs_by_end (finished_ns>" in step for step in plans) == of_jobs
    assert [step for step in plans if step.startswith("SCAN jobs")] == []


@pytest.mark.parametrize("interval_ns", [HOUR_NS // 4, HOUR_NS, DAY_NS])
def test_of_very_many_only_the_newest_are_counted(
    database: Path, interval_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_exits, "MAX_ROWS", 3)
    with opened(database) as store:
        counts = of_two_days(store, interval_ns)
    assert counts.last == sum(each.count for each in counts.counts)
    newest = (HOUR + 5 * HOUR_NS) // interval_ns * interval_ns
    assert max(each.from_ns for each in counts.counts) == newest
