"""Exits of a time span: counted in an index, they are what a plain count of all jobs finds."""

from collections import Counter
from itertools import product
from pathlib import Path

import pytest
from alembic import command
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, text

from exporter.model import ClassifiedExit, Cursor, Workload
from exporter.store import Batch, Store, TimeSpan
from exporter.store.exit_count_triggers import PERIODS, WEEK_NS
from exporter.store.schema import IS_COMPLETED, jobs
from exporter.time_units import DAY_NS, HOUR_NS
from tests.store.files import opened
from tests.store.made_up_exits import HOSTS, MOMENTS, WORKLOADS, exits
from tests.store.plans import plans_of
from tests.store.samples import ended, job
from tests.store.test_migrations import move


def counted(found: list[ClassifiedExit], span: TimeSpan) -> Counter[tuple[object, ...]]:
    """Count the exits of a span one by one."""
    return Counter(
        (each.exit.job.workload.name, each.verdict.status, each.exit.code, each.verdict.reason)
        for each in found
        if span.since_ns <= each.exit.finished_ns < span.until_ns
        and span.workload in {None, each.exit.job.workload.name}
        and span.instance in {None, each.exit.job.instance}
    )


@given(
    exits(),
    st.lists(st.sampled_from(MOMENTS), min_size=2, max_size=2, unique=True).map(sorted),
    st.sampled_from([None, *WORKLOADS]),
    st.sampled_from([None, *HOSTS]),
)
@settings(max_examples=200, deadline=None)
def test_counts_are_those_of_a_plain_count(
    used: Store, found: list[ClassifiedExit], bounds: list[int], workload: str | None, instance: str | None
) -> None:
    span = TimeSpan(bounds[0], bounds[1], workload, instance)
    with used._database.transaction() as connection:
        connection.execute(delete(jobs))
    used.commit(Batch(running=[job("b", workload=Workload("etl", "img"))], ended=found))
    rows = used.reader.count_exits(span)
    keys = [(row.workload, row.status, row.code, row.reason) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(row.count or row.before for row in rows)
    now = Counter({key: row.count for key, row in zip(keys, rows, strict=True) if row.count})
    before = Counter({key: row.before for key, row in zip(keys, rows, strict=True) if row.before})
    assert now == counted(found, span)
    assert before == counted(found, span.before)


def test_the_span_before_is_as_long_and_ends_where_the_span_begins() -> None:
    assert TimeSpan(10, 14, "etl", "node-1").before == TimeSpan(6, 10, "etl", "node-1")


def test_exits_are_on_record_since_the_first_connection_or_the_retention(database: Path) -> None:
    with opened(database) as store:
        assert store.recorded_since_ns() is None
        store.commit(Batch(cursors={"a": Cursor(0, 50), "b": Cursor(0, 30)}))
        assert store.recorded_since_ns() == 30
        store.prune(40)
        assert store.recorded_since_ns() == 40


@pytest.mark.parametrize("workload", [None, "etl"])
def test_few_jobs_are_read_beside_what_was_counted(database: Path, workload: str | None) -> None:
    span = TimeSpan(3 * HOUR_NS // 4, 49 * HOUR_NS // 4, workload)
    with opened(database) as store:
        plans = plans_of(store, lambda: store.reader.count_exits(span))
    read = [step for step in plans if " jobs " in step]
    assert set(read) == {"SEARCH jobs USING INDEX jobs_by_end (finished_ns>? AND finished_ns<?)"}
    assert [step for step in plans if step.startswith("SCAN") and "exit_counts" in step] == []


@pytest.mark.parametrize("workload", [None, "etl"])
def test_of_a_host_no_job_is_read_but_in_the_index(database: Path, workload: str | None) -> None:
    with opened(database) as store:
        plans = plans_of(store, lambda: store.reader.count_exits(TimeSpan(1, 2, workload, "node-1")))
        assert [step for step in plans if "jobs" in step and "COVERING INDEX jobs_ended" not in step] == []
        assert sum("finished_ns>? AND finished_ns<?" in step for step in plans) == 2


GROUP = "SELECT {0}, finished_ns / {0} * {0}, workload, status, reason, coalesce(code, -1), count(*)"
ENDED = "FROM jobs WHERE finished_ns NOT NULL GROUP BY 1, 2, 3, 4, 5, 6"
GROUPS = " UNION ALL ".join(f"{GROUP.format(period)} {ENDED}" for period in PERIODS)
OF_COMPLETED = f"""
SELECT finished_ns / {WEEK_NS} * {WEEK_NS}, workload, memory_limit_bytes,
    finished_ns / {DAY_NS} * {DAY_NS}, count(*)
FROM jobs WHERE {IS_COMPLETED} GROUP BY 1, 2, 3, 4
"""  # noqa: S608  # constants of the product
COUNTED_NOW = {"exit_counts": GROUPS, "completed_counts": OF_COMPLETED}


def assert_counted(store: Store) -> None:
    """Assert that each table of counts has what is found now."""
    with store._database.transaction() as connection:
        for table, query in COUNTED_NOW.items():
            counted = connection.execute(text(f"SELECT * FROM {table}")).fetchall()  # noqa: S608  # as above
            assert sorted(counted) == sorted(connection.execute(text(query)).fetchall())


CHANGES = st.one_of(exits(), st.sampled_from(MOMENTS))


@given(st.lists(CHANGES, max_size=6))
@settings(max_examples=100, deadline=None)
def test_the_counts_are_exact_whatever_is_written_again_and_deleted(
    used: Store, changes: list[list[ClassifiedExit] | int]
) -> None:
    for change in changes:
        if isinstance(change, int):
            used.prune(change)
        else:
            begun = [job("a", attempt=number) for number in range(0, 14, 3)]
            used.commit(Batch(running=begun, ended=change))
        assert_counted(used)


def test_what_is_on_record_already_is_counted_by_the_migrations(database: Path) -> None:
    exits = [
        ended(job("a", attempt=number), code, finished_ns=at_ns)
        for number, (at_ns, code) in enumerate(product(MOMENTS, (0, 1, None)))
    ]
    with opened(database) as store:
        store.commit(Batch(running=[job("b")], ended=exits))
    move(database, command.downgrade, "0013")
    with opened(database) as store:
        assert_counted(store)
        store.prune(MOMENTS[0])
        assert_counted(store)
