"""What the runs of a time span say about memory limits. Each may raise StoreError.

Runs with OOM kills are few; they are found by an index of their own. Of the runs that completed, only those
of workloads with OOM kills are counted, in the stretches that the kills divide the span into. They are many:
each number is that of a range of an index in which nothing else is looked at.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import CTE, ColumnElement, ScalarSelect, case, func, select

from exporter.model import LimitOwner
from exporter.report.runs import MemoryHistory, OomCounts, Outcome, Runs, dividing_times
from exporter.store.database import Database
from exporter.store.schema import HAS_OOM_KILLS, IS_COMPLETED, jobs
from exporter.store.time_span import TimeSpan

_OUTCOMES = {LimitOwner.OWN.value: Outcome.OOM_KILLED, None: Outcome.OOM_KILLED_LIMIT_UNKNOWN}


def memory_histories(database: Database, span: TimeSpan) -> dict[str, MemoryHistory]:
    """Return the histories of the workloads with OOM kills; if one workload is asked for, of that one."""
    killed: dict[str, list[Any]] = {} if span.workload is None else {span.workload: []}
    for row in _oom_killed(database, span):
        killed.setdefault(row.workload, []).append(row)
    runs = {workload: [run for row in rows for run in _killed_runs(row)] for workload, rows in killed.items()}
    for workload, completed in _completed(database, span, runs):
        runs[workload].append(completed)
    return {
        workload: MemoryHistory(tuple(sorted(runs[workload], key=_order)), _oom_counts(rows))
        for workload, rows in killed.items()
    }


def _order(runs: Runs) -> tuple[int, int, int]:
    return runs.first_ns, runs.last_ns, runs.limit_bytes


def _oom_killed(database: Database, span: TimeSpan) -> Sequence[Any]:
    """Return the runs with OOM kills, by workload, limit, and whose limit was reached."""
    owner = func.coalesce(jobs.c.oom_limit, _last_limit_in_log()).label("owner")
    # Only a run that such a kill ended has the owner as a column.
    ran_ns = case((jobs.c.oom_limit.is_not(None), jobs.c.finished_ns - jobs.c.started_ns))
    query = (
        select(
            jobs.c.workload,
            jobs.c.memory_limit_bytes,
            owner,
            func.count().label("number"),
            func.min(jobs.c.finished_ns).label("first_ns"),
            func.max(jobs.c.finished_ns).label("last_ns"),
            func.sum(ran_ns).label("ran_ns"),
            func.count(ran_ns).label("with_ran"),
            func.sum(case((jobs.c.code == 0, 1), else_=0)).label("survived"),
        )
        .where(HAS_OOM_KILLS, *span.conditions())
        .group_by(jobs.c.workload, jobs.c.memory_limit_bytes, owner.name)
    )
    return database.read(query.with_hint(jobs, "INDEXED BY jobs_oom_killed", "sqlite"))


def _last_limit_in_log() -> ScalarSelect[Any]:
    """Return whose limit the last OOM kill reached of which the kernel's log says so."""
    kill = func.json_each(jobs.c.oom_witnesses).table_valued("key", "value")
    limit = func.json_extract(kill.c.value, "$[2].limit")
    return select(limit).where(limit.is_not(None)).order_by(kill.c.key.desc()).limit(1).scalar_subquery()


def _killed_runs(row: Any) -> Iterator[Runs]:
    """Yield what runs with OOM kills say about their limit: nothing if another limit was reached."""
    outcome, limit_bytes = _OUTCOMES.get(row.owner), row.memory_limit_bytes
    if outcome is not None and limit_bytes is not None:
        ran_ns = max(0, row.ran_ns // row.number) if row.with_ran == row.number else None
        yield Runs(limit_bytes, outcome, row.number, row.first_ns, row.last_ns, ran_ns)


def _oom_counts(rows: Sequence[Any]) -> OomCounts:
    numbers = {owner: sum(row.number for row in rows if row.owner == owner) for owner in (*LimitOwner, None)}
    return OomCounts(
        own=numbers[LimitOwner.OWN],
        parent=numbers[LimitOwner.PARENT],
        host=numbers[LimitOwner.HOST],
        unknown=numbers[None],
        survived=sum(row.survived for row in rows),
    )


def _completed(
    database: Database, span: TimeSpan, killed: Mapping[str, Sequence[Runs]]
) -> Iterator[tuple[str, Runs]]:
    """Yield the runs of these workloads that completed, by limit and by stretch."""
    stretches = _table(
        "stretches",
        ("workload", "since_ns", "until_ns"),
        [
            (workload, since_ns, until_ns)
            for workload, runs in killed.items()
            for since_ns, until_ns in _stretches(span, runs)
        ],
    )
    limits = _limits(_table("workloads", ("workload",), [(workload,) for workload in killed]))
    is_between = [jobs.c.finished_ns >= stretches.c.since_ns, jobs.c.finished_ns < stretches.c.until_ns]
    is_on_host = [] if span.instance is None else [jobs.c.instance == span.instance]
    is_one_of_them = [
        jobs.c.workload == limits.c.workload,
        jobs.c.memory_limit_bytes == limits.c.limit_bytes,
        *is_between,
        *is_on_host,
    ]
    ended_ns = jobs.c.finished_ns
    values = (
        _of_completed(each, *is_one_of_them)
        for each in (func.count(), func.min(ended_ns), func.max(ended_ns))
    )
    query = select(limits.c.workload, limits.c.limit_bytes, *values).where(
        limits.c.limit_bytes.is_not(None), limits.c.workload == stretches.c.workload
    )
    for workload, limit_bytes, number, first_ns, last_ns in database.read(query):
        if number:
            yield workload, Runs(limit_bytes, Outcome.COMPLETED, number, first_ns, last_ns)


def _stretches(span: TimeSpan, runs: Sequence[Runs]) -> Iterator[tuple[int, int]]:
    """Yield the parts of the span between which runs that completed are told apart."""
    kills = [each for each in runs if each.outcome is Outcome.OOM_KILLED]
    return pairwise(sorted({span.since_ns, *dividing_times(kills), span.until_ns}))


def _limits(workloads: CTE) -> CTE:
    """Return the limits with which each of these workloads has completed; of one without any, null."""
    limit, name = jobs.c.memory_limit_bytes, "limit_bytes"
    lowest = _of_completed(func.min(limit), jobs.c.workload == workloads.c.workload)
    found = select(workloads.c.workload, lowest.label(name)).cte("limits", recursive=True)
    is_next = (jobs.c.workload == found.c.workload, limit > found.c.limit_bytes)
    following = select(found.c.workload, _of_completed(func.min(limit), *is_next))
    return found.union_all(following.where(found.c.limit_bytes.is_not(None)))


def _of_completed(value: ColumnElement[Any], *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    """Return a value of the runs with these conditions that completed with a limit and lost no process."""
    query = select(value).select_from(jobs).where(IS_COMPLETED, *conditions)
    return query.with_hint(jobs, "INDEXED BY jobs_completed", "sqlite").scalar_subquery()


def _table(name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> CTE:
    """Return rows as a table of a query."""
    row = func.json_each(json.dumps(rows)).table_valued("value")
    values = [
        func.json_extract(row.c.value, f"$[{place}]").label(column) for place, column in enumerate(columns)
    ]
    # SQLite has known this hint since 3.35; without it, the answers are the same.
    hints = ["MATERIALIZED"] if sqlite3.sqlite_version_info >= (3, 35) else []
    return select(*values).cte(name).prefix_with(*hints)
