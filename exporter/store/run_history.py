"""What the runs of a time span say about memory limits. Each may raise StoreError.

OOM kills are few and read one by one. Of the runs that completed, only those of workloads with OOM kills are
counted, in the stretches between two kills.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import case, func, null, select

from exporter.model import LimitOwner, Status
from exporter.report.runs import MemoryHistory, OomCounts, Outcome, Runs
from exporter.store.database import Database
from exporter.store.exit_counts import TimeSpan
from exporter.store.schema import HAS_OOM_KILLS, jobs

_COMPLETED = (jobs.c.status == Status.DONE.value, jobs.c.reason == "Completed", jobs.c.code == 0)
_VICTIM = 2
_OUTCOMES = {LimitOwner.OWN: Outcome.OOM_KILLED, None: Outcome.OOM_KILLED_LIMIT_UNKNOWN}


def memory_histories(database: Database, span: TimeSpan) -> dict[str, MemoryHistory]:
    """Return the histories of the workloads with OOM kills; if one workload is asked for, of that one."""
    killed: dict[str, list[Any]] = {} if span.workload is None else {span.workload: []}
    for row in _oom_killed(database, span):
        killed.setdefault(row.workload, []).append(row)
    runs = {workload: [run for row in rows for run in _killed_run(row)] for workload, rows in killed.items()}
    for workload, completed in _completed(database, span, runs):
        runs[workload].append(completed)
    return {
        workload: MemoryHistory(
            tuple(sorted(runs[workload], key=lambda each: (each.first_ns, each.last_ns))), _oom_counts(rows)
        )
        for workload, rows in killed.items()
    }


def _oom_killed(database: Database, span: TimeSpan) -> Sequence[Any]:
    """Return the ended jobs of which a process was OOM-killed."""
    columns = (
        jobs.c.workload,
        jobs.c.code,
        jobs.c.memory_limit_bytes,
        jobs.c.oom_limit,
        jobs.c.started_ns,
        jobs.c.finished_ns,
        # Only a job that such a kill ended has its limit as a column.
        case((jobs.c.oom_limit.is_(None), jobs.c.oom_witnesses), else_=null()).label("witnesses"),
    )
    query = select(*columns).where(HAS_OOM_KILLS, *span.conditions())
    return database.read(query.with_hint(jobs, "INDEXED BY jobs_oom_killed", "sqlite"))


def _limit_owner(row: Any) -> LimitOwner | None:
    """Return whose limit the last OOM kill reached; None if that is not known."""
    if row.oom_limit is not None:
        return LimitOwner(row.oom_limit)
    limits = [kill[_VICTIM]["limit"] for kill in row.witnesses if len(kill) > _VICTIM]
    known = [limit for limit in limits if limit is not None]
    return LimitOwner(known[-1]) if known else None


def _killed_run(row: Any) -> Iterator[Runs]:
    """Yield what a job with OOM kills says about its limit: nothing if another limit was reached."""
    outcome, limit_bytes = _OUTCOMES.get(_limit_owner(row)), row.memory_limit_bytes
    if outcome is None or limit_bytes is None:
        return
    is_end_by_oom = row.oom_limit is not None and row.started_ns is not None
    ran_ns = max(0, row.finished_ns - row.started_ns) if is_end_by_oom else None
    yield Runs(limit_bytes, outcome, 1, row.finished_ns, row.finished_ns, ran_ns)


def _oom_counts(rows: Sequence[Any]) -> OomCounts:
    owners = [_limit_owner(row) for row in rows]
    return OomCounts(
        own=owners.count(LimitOwner.OWN),
        parent=owners.count(LimitOwner.PARENT),
        host=owners.count(LimitOwner.HOST),
        unknown=owners.count(None),
        survived=sum(row.code == 0 for row in rows),
    )


def _completed(
    database: Database, span: TimeSpan, killed: Mapping[str, Sequence[Runs]]
) -> Iterator[tuple[str, Runs]]:
    """Yield the runs of these workloads that completed, by limit and by stretch between kills."""
    stretches = [
        (workload, since_ns, until_ns)
        for workload, runs in killed.items()
        for since_ns, until_ns in _stretches(span, runs)
    ]
    given = func.json_each(json.dumps(stretches)).table_valued("key", "value")
    workload, since_ns, until_ns = (func.json_extract(given.c.value, f"$[{place}]") for place in range(3))
    is_between = (jobs.c.workload == workload, jobs.c.finished_ns >= since_ns, jobs.c.finished_ns < until_ns)
    is_on_host = () if span.instance is None else (jobs.c.instance == span.instance,)
    ended_ns = jobs.c.finished_ns
    query = (
        select(workload, jobs.c.memory_limit_bytes, func.count(), func.min(ended_ns), func.max(ended_ns))
        .where(*_COMPLETED, *is_between, *is_on_host)
        .where(jobs.c.oom_kills == 0, jobs.c.memory_limit_bytes.is_not(None))
        .group_by(given.c.key, jobs.c.memory_limit_bytes)
        .with_hint(jobs, "INDEXED BY jobs_ended", "sqlite")
    )
    for name, limit_bytes, number, first_ns, last_ns in database.read(query):
        yield name, Runs(limit_bytes, Outcome.COMPLETED, number, first_ns, last_ns)


def _stretches(span: TimeSpan, runs: Sequence[Runs]) -> Iterator[tuple[int, int]]:
    """Yield the times between two OOM kills at the workload's own limit."""
    kills = {each.first_ns for each in runs if each.outcome is Outcome.OOM_KILLED}
    return pairwise(sorted({span.since_ns, *kills, span.until_ns}))
