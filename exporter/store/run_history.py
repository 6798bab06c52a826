"""What the runs of a time span say about memory limits. Each may raise StoreError.

Runs with OOM kills are few; they have an index of their own, in the order in which they are grouped: to sort
those of a month takes several times as long as to read them. Of the runs that completed
(``completed_runs.py``), only those of workloads with OOM kills are counted, in the stretches that the kills
divide the span into.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, case, func, select

from exporter.model import LimitOwner
from exporter.report.runs import MemoryHistory, OomCounts, Outcome, Runs
from exporter.store.completed_runs import completed_runs
from exporter.store.database import Database
from exporter.store.schema import HAS_OOM_KILLS, jobs
from exporter.store.time_span import TimeSpan

_ORDER = attrgetter("first_ns", "last_ns", "limit_bytes")
_OWNERS = (*LimitOwner, None)
_OUTCOMES = {LimitOwner.OWN.value: Outcome.OOM_KILLED, None: Outcome.OOM_KILLED_LIMIT_UNKNOWN}


class _Killed(NamedTuple):
    """Runs of one workload with OOM kills, by their limit, and by whose limit was reached; None if not known.

    ``with_ran`` is of how many it is known how long they ran.
    """

    workload: str
    limit_bytes: int | None
    owner: str | None
    number: int
    first_ns: int
    last_ns: int
    ran_ns: int | None
    with_ran: int
    survived: int


def memory_histories(database: Database, span: TimeSpan) -> dict[str, MemoryHistory]:
    """Return the histories of the workloads with OOM kills; if one workload is asked for, of that one."""
    killed: dict[str, list[_Killed]] = {} if span.workload is None else {span.workload: []}
    for row in _oom_killed(database, span):
        killed.setdefault(row.workload, []).append(row)
    runs = {workload: _killed_runs(rows) for workload, rows in killed.items()}
    for workload, completed in completed_runs(database, span, runs):
        runs[workload].append(completed)
    return {
        workload: MemoryHistory(tuple(sorted(runs[workload], key=_ORDER)), _oom_counts(rows))
        for workload, rows in killed.items()
    }


def _oom_killed(database: Database, span: TimeSpan) -> list[_Killed]:
    """Return the runs with OOM kills: some with the same limit and owner may be in two groups."""
    found = [*map(_Killed._make, database.read(_by_owner(span, jobs.c.oom_limit)))]
    killed = [each for each in found if each.owner is not None]
    if len(killed) < len(found):
        # Only a run that such a kill ended has the owner as a column; of the others, the log is read.
        others = _by_owner(span, _last_limit_in_log()).where(jobs.c.oom_limit.is_(None))
        killed += map(_Killed._make, database.read(others))
    return killed


def _by_owner(span: TimeSpan, owner: ColumnElement[Any]) -> Select[Any]:
    """Return a query of the runs with OOM kills, in the order of the fields of ``_Killed``."""
    ended_ns, limit_bytes = jobs.c.finished_ns, jobs.c.memory_limit_bytes
    ran_ns = case((jobs.c.oom_limit.is_not(None), ended_ns - jobs.c.started_ns))
    survived = func.sum(case((jobs.c.code == 0, 1), else_=0))
    values: list[Any] = [
        func.count(),
        func.min(ended_ns),
        func.max(ended_ns),
        func.sum(ran_ns),
        func.count(ran_ns),
        survived,
    ]
    owner = owner.label("owner")
    query = select(jobs.c.workload, limit_bytes, owner, *values).where(HAS_OOM_KILLS, *span.conditions())
    grouped = query.group_by(jobs.c.workload, limit_bytes, owner)
    return grouped.with_hint(jobs, "INDEXED BY jobs_oom_killed", "sqlite")


def _last_limit_in_log() -> ScalarSelect[Any]:
    """Return whose limit the last OOM kill reached of which the kernel's log says so."""
    kill = func.json_each(jobs.c.oom_witnesses).table_valued("key", "value")
    limit = func.json_extract(kill.c.value, "$[2].limit")
    return select(limit).where(limit.is_not(None)).order_by(kill.c.key.desc()).limit(1).scalar_subquery()


def _killed_runs(killed: Sequence[_Killed]) -> list[Runs]:
    """Return what runs with OOM kills say about their limit: nothing if another limit was reached."""
    runs = []
    for each in killed:
        outcome = _OUTCOMES.get(each.owner)
        if outcome is not None and each.limit_bytes is not None:
            is_known = each.ran_ns is not None and each.with_ran == each.number
            ran_ns = max(0, (each.ran_ns or 0) // each.number) if is_known else None
            runs.append(Runs(each.limit_bytes, outcome, each.number, each.first_ns, each.last_ns, ran_ns))
    return runs


def _oom_counts(killed: Sequence[_Killed]) -> OomCounts:
    numbers: dict[str | None, int] = {}
    for each in killed:
        numbers[each.owner] = numbers.get(each.owner, 0) + each.number
    own, parent, host, unknown = (numbers.get(owner, 0) for owner in _OWNERS)
    return OomCounts(own, parent, host, unknown, survived=sum([each.survived for each in killed]))
