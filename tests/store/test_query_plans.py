"""Every question is answered by the same indexes, in whatever order these were created.

SQLite takes the one or the other of two indexes that look equally good to it by their order, which differs
between a database that was migrated and a new one: one of them may have every row of a million.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from exporter.model import Status
from exporter.store import Batch, JobFilter, Position, Store, TimeSpan
from tests.store.files import opened
from tests.store.samples import BEGAN_NS, ended, job

HOUR_NS = 3600 * 10**9
JOB = job("a", start_event_ns=BEGAN_NS)
SPAN = TimeSpan(BEGAN_NS, BEGAN_NS + HOUR_NS)
HERE = Position(BEGAN_NS, "a-1")
FILTERS = (
    JobFilter(),
    JobFilter(status=Status.FAILED),
    JobFilter(reason="Error"),
    JobFilter(code=1),
    JobFilter(workload="w"),
    JobFilter(instance="node-1"),
    JobFilter(supervised_id="1"),
    JobFilter(text="batch"),
    JobFilter(casualties=True),
)


def pages(store: Store) -> None:
    """Read a page of each filter, from the beginning and from the middle, with and without bounds in time."""
    for number in range(len(FILTERS)):
        for since_ns in (None, BEGAN_NS, BEGAN_NS + 100 * HOUR_NS):
            for until_ns in (None, BEGAN_NS + HOUR_NS):
                for after in (None, HERE):
                    given = {**_conditions(FILTERS[number]), "since_ns": since_ns, "until_ns": until_ns}
                    store.reader.list_jobs(JobFilter(**given), 10, after)


def recent_exits(store: Store) -> None:
    """Count the exits of each filter."""
    for wanted in (*FILTERS, JobFilter(since_ns=BEGAN_NS), JobFilter(until_ns=BEGAN_NS + HOUR_NS)):
        store.reader.count_recent_exits(wanted, HOUR_NS)


def _conditions(wanted: JobFilter) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in JobFilter.__dataclass_fields__}


QUESTIONS: dict[str, Callable[[Store], object]] = {
    "pages": pages,
    "recent exits": recent_exits,
    "latest failures": lambda store: store.reader.latest_failures(BEGAN_NS, 10),
    "a job by its name": lambda store: store.reader.find_job("batch"),
    "a job by the start of its id": lambda store: store.reader.find_job("aaaaaa"),
    "counts of exits": lambda store: store.reader.count_exits(SPAN),
    "memory": lambda store: store.reader.memory_histories(SPAN),
    "memory of a workload": lambda store: store.reader.memory_histories(
        TimeSpan(BEGAN_NS, BEGAN_NS + HOUR_NS, "w")
    ),
    "runs of a workload": lambda store: store.reader.runs_of_workload("w", 10),
    "runs beside a job": lambda store: store.reader.runs_beside(JOB),
    "changes": lambda store: store.reader.latest_changes(1, 10),
    "running jobs": lambda store: store.running_jobs(),
    "history": lambda store: store.load_history(JOB.container_id),
    "containers of a job": lambda store: store.containers_of_job("run-0-0", "node-1"),
    "engines of a host": lambda store: store.engines_of("node-1"),
    "an end of a submission": lambda store: store.has_end_or_container("1"),
    "open submissions": lambda store: store.open_submissions(),
    "retention": lambda store: store.prune(BEGAN_NS),
}


def create_indexes_anew(path: Path, *, backwards: bool) -> None:
    """Create all indexes again, in the order of their names."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
        )
        for name, sql in sorted(found, reverse=backwards):
            connection.execute(f'DROP INDEX "{name}"')
            connection.execute(sql)
        connection.commit()


@contextmanager
def explained() -> Iterator[list[tuple[str, str]]]:
    """Collect the plan of each statement that is executed meanwhile."""
    plans: list[tuple[str, str]] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if re.match(r"SELECT|WITH|DELETE", statement):
            asked = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append((statement, "\n".join(row[3] for row in asked)))

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_indexes_answer_in_whatever_order_they_were_created(question: str, tmp_path: Path) -> None:
    path = tmp_path / "exits.db"
    with opened(path) as store:
        store.commit(Batch(ended=[ended(JOB, 1)]))
    found = []
    for backwards in (False, True):
        create_indexes_anew(path, backwards=backwards)
        with opened(path) as store, explained() as plans:
            QUESTIONS[question](store)
        found.append(dict(plans))
    assert found[0]
    assert found[0] == found[1]
    # No index's, and not in the order of one: every row would be read.
    assert [plan for plan in found[0].values() if re.search(r"^SCAN jobs$", plan, re.MULTILINE)] == []
