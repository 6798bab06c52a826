"""Triggers that count exits in the statement that changes a job.

All are counted by hour and by day in ``exit_counts``, and those that completed within a memory limit by day
in ``completed_counts``. So the counts are exact whatever is written to the table ``jobs``, and no other
statement has to care.

What they are counted by has a row of its own as long as it has counts, and each count has its number only:
a summary sorts tens of thousands of counts, and texts take three times as long to sort.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.time_units import DAY_NS, HOUR_NS

PERIODS = (HOUR_NS, DAY_NS)
# Four weeks: an exit changes one of the pages that those before it have changed, and a span has few of them.
MONTH_NS = 28 * DAY_NS
# A code that is not known cannot be null in a key.
UNKNOWN_CODE = -1
# What all runs have that completed, and say by it that their limit was enough.
COMPLETED = (
    "status = 'done'",
    "reason = 'Completed'",
    "code = 0",
    "oom_kills = 0",
    "memory_limit_bytes IS NOT NULL",
)
_ROW = "{row}"
"""Stands for NEW or OLD."""

_Values = Mapping[str, str]
"""Expressions of SQL by the columns that they are values of."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """A table of counts, and that of what they are counted by: its ``group`` has the number ``group_id``.

    A job has a count for each of ``keys``. ``has_counts`` finds in an index what is counted by a group. Only
    the columns that ``decide`` decide what is counted, and where.
    """

    table: str
    groups: str
    group_id: str
    group: _Values
    keys: Sequence[_Values]
    has_counts: str
    is_counted: str
    decide: Sequence[str]


_EXITS = _Counts(
    table="exit_counts",
    groups="exit_groups",
    group_id="group_id",
    group={
        "code": f"coalesce({_ROW}.code, {UNKNOWN_CODE})",
        "workload": f"{_ROW}.workload",
        "status": f"{_ROW}.status",
        "reason": f"{_ROW}.reason",
    },
    keys=[
        {"period_ns": f"{period}", "began_ns": f"{_ROW}.finished_ns / {period} * {period}"}
        for period in PERIODS
    ],
    has_counts=f"exit_counts INDEXED BY exit_counts_by_group WHERE period_ns = {DAY_NS} AND group_id = id",
    is_counted=f"{_ROW}.finished_ns IS NOT NULL AND {_ROW}.reason IS NOT NULL",
    decide=("finished_ns", "workload", "status", "reason", "code"),
)
_IS_COMPLETED_AT_LIMIT = " AND ".join(
    [
        *COMPLETED,
        "jobs.workload = completed_limits.workload",
        "jobs.memory_limit_bytes = completed_limits.memory_limit_bytes",
    ]
)
_COMPLETED = _Counts(
    table="completed_counts",
    groups="completed_limits",
    group_id="limit_id",
    group={"workload": f"{_ROW}.workload", "memory_limit_bytes": f"{_ROW}.memory_limit_bytes"},
    keys=[
        {
            "month_ns": f"{_ROW}.finished_ns / {MONTH_NS} * {MONTH_NS}",
            "began_ns": f"{_ROW}.finished_ns / {DAY_NS} * {DAY_NS}",
        }
    ],
    has_counts=f"jobs INDEXED BY jobs_completed WHERE {_IS_COMPLETED_AT_LIMIT}",
    is_counted=" AND ".join(f"{_ROW}.{condition}" for condition in (*COMPLETED, "finished_ns IS NOT NULL")),
    decide=("finished_ns", "workload", "status", "reason", "code", "oom_kills", "memory_limit_bytes"),
)


def _add(counts: _Counts) -> list[str]:
    """Return the statements that count a job."""
    columns, values = map(", ".join, zip(*counts.group.items(), strict=True))
    # All of these are constants of this module, here and below. A conflict is given with its columns, since
    # SQLite knows one without them only since 3.35.
    add_group = (
        f"INSERT INTO {counts.groups} ({columns}) VALUES ({values}) ON CONFLICT ({columns}) DO NOTHING"  # noqa: S608
    )
    return [add_group, *(_add_count(counts, key) for key in counts.keys)]


def _add_count(counts: _Counts, key: _Values) -> str:
    key = {**key, counts.group_id: _number(counts)}
    columns, values = map(", ".join, zip(*key.items(), strict=True))
    once_more = f"ON CONFLICT ({columns}) DO UPDATE SET exits = exits + 1"
    return f"INSERT INTO {counts.table} ({columns}, exits) VALUES ({values}, 1) {once_more}"  # noqa: S608


def _take_away(counts: _Counts) -> list[str]:
    """Return the statements that no longer count a job."""
    rest = f"{_are(counts.group)} AND NOT EXISTS (SELECT 1 FROM {counts.has_counts})"  # noqa: S608
    return [
        *(each for key in counts.keys for each in _take_away_count(counts, key)),
        f"DELETE FROM {counts.groups} WHERE {rest}",  # noqa: S608
    ]


def _take_away_count(counts: _Counts, key: _Values) -> list[str]:
    is_key = _are({**key, counts.group_id: _number(counts)})
    return [
        f"UPDATE {counts.table} SET exits = exits - 1 WHERE {is_key}",  # noqa: S608
        f"DELETE FROM {counts.table} WHERE {is_key} AND exits = 0",  # noqa: S608
    ]


def _number(counts: _Counts) -> str:
    return f"(SELECT id FROM {counts.groups} WHERE {_are(counts.group)})"  # noqa: S608


def _are(values: _Values) -> str:
    return " AND ".join(f"{column} = {value}" for column, value in values.items())


def _triggers(name: str, counts: _Counts) -> tuple[str, ...]:
    """Return the triggers that keep a table of counts."""

    def trigger(what: str, when: str, row: str, statements: Sequence[str], condition: str = "") -> str:
        body = "".join(f"{statement}; " for statement in statements)
        made = f"AFTER {when} ON jobs WHEN {counts.is_counted}{condition} BEGIN {body}END"
        return f"CREATE TRIGGER {name}_{what} {made}".replace(_ROW, row)

    has_changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in counts.decide)
    add, take_away = _add(counts), _take_away(counts)
    return (
        trigger("inserted", "INSERT", "NEW", add),
        trigger("deleted", "DELETE", "OLD", take_away),
        # An end that changes counts as one that was deleted, and one that was inserted.
        trigger("changed_from", "UPDATE", "OLD", take_away, f" AND ({has_changed})"),
        trigger("changed_to", "UPDATE", "NEW", add, f" AND ({has_changed})"),
    )


EXIT_COUNT_TRIGGERS = (*_triggers("exit", _EXITS), *_triggers("completed", _COMPLETED))
