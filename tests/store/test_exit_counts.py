"""Exits of a time span: counted in an index, they are what a plain count of all jobs finds."""

import re
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
from exporter.store.exit_count_triggers import EXIT_COUNT_TRIGGERS, MONTH_NS, PERIODS
from exporter.store.schema import IS_COMPLETED, jobs
from exporter.time_units import DAY_NS, HOUR_NS
from tests.store.files import opened
from tests.store.made_up_exits import HOSTS, MOMENTS, WORKLOADS, exits
from tests.store.plans import plans_of, statements_of
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
    of_period = "SEARCH exit_counts USING PRIMARY KEY (period_ns=? AND began_ns>? AND began_ns<?)"
    assert [step for step in plans if "exit_counts" in step] == [of_period]


@pytest.mark.parametrize("workload", [None, "etl"])
def test_of_a_host_no_job_is_read_but_in_the_index(database: Path, workload: str | None) -> None:
    with opened(database) as store:
        plans = plans_of(store, lambda: store.reader.count_exits(TimeSpan(1, 2, workload, "node-1")))
        assert [step for step in plans if "jobs" in step and "COVERING INDEX jobs_ended" not in step] == []
        assert sum("finished_ns>? AND finished_ns<?" in step for step in plans) == 2


KEY = "workload, status, reason, coalesce(code, -1)"
ENDED = "FROM jobs WHERE finished_ns NOT NULL"
COMPLETED = f"FROM jobs WHERE {IS_COMPLETED}"
# What is kept, with the names of what its numbers stand for, and what is found now.
COUNTED_NOW = {
    "SELECT workload, status, reason, code FROM exit_groups": f"SELECT DISTINCT {KEY} {ENDED}",
    """
    SELECT period_ns, began_ns, workload, status, reason, code, exits
    FROM exit_counts LEFT JOIN exit_groups ON id = group_id
    """: " UNION ALL ".join(
        f"SELECT {period}, finished_ns / {period} * {period}, {KEY}, count(*) {ENDED} GROUP BY {KEY}, 2"
        for period in PERIODS
    ),
    "SELECT workload, memory_limit_bytes FROM completed_limits": (
        f"SELECT DISTINCT workload, memory_limit_bytes {COMPLETED}"
    ),
    """
    SELECT month_ns, workload, memory_limit_bytes, began_ns, exits
    FROM completed_counts LEFT JOIN completed_limits ON id = limit_id
    """: (
        f"SELECT finished_ns / {MONTH_NS} * {MONTH_NS}, workload, memory_limit_bytes, "
        f"finished_ns / {DAY_NS} * {DAY_NS}, count(*) {COMPLETED} GROUP BY 1, 2, 3, 4"
    ),
}


def assert_counted(store: Store) -> None:
    """Assert that the tables of counts have what is found now, and their groups nothing else."""
    with store._database.transaction() as connection:
        for kept, found in COUNTED_NOW.items():
            rows = [connection.execute(text(query)).fetchall() for query in (kept, found)]
            assert sorted(rows[0]) == sorted(rows[1])


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
    for revision in ("0016", "0013"):
        move(database, command.downgrade, revision)
        with opened(database) as store:
            assert_counted(store)
    with opened(database) as store:
        store.prune(MOMENTS[0])
        assert_counted(store)


def test_what_is_grouped_are_numbers(database: Path) -> None:
    with opened(database) as store:
        statements = statements_of(store, lambda: store.reader.count_exits(TimeSpan(1, DAY_NS)))
    (query,) = [statement for statement, _ in statements if "exit_counts" in statement]
    assert "GROUP BY exit_counts.group_id)" in " ".join(query.split())


def test_to_delete_a_job_no_count_is_read_but_its_own(database: Path) -> None:
    """A group without counts is found in indexes: a step of the retention deletes many jobs."""
    names, read = re.compile(r"\b(?:OLD|NEW)\.(\w+)"), set()
    with opened(database) as store, store._database._engine.connect() as connection:
        for trigger in EXIT_COUNT_TRIGGERS:
            *statements, _ = trigger.partition(" BEGIN ")[2].split("; ")
            for statement in statements:
                asked = text("EXPLAIN QUERY PLAN " + names.sub(r":\1", statement))
                steps = connection.execute(asked, dict.fromkeys(asked._bindparams, 1)).fetchall()
                read |= {step.detail for step in steps}
    assert [step for step in read if not re.match("SEARCH|CORRELATED|SCALAR", step)] == []
    # All counts of days are no index of a group.
    assert "SEARCH exit_counts USING PRIMARY KEY (period_ns=?)" not in read
