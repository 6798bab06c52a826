"""Triggers that count exits in the statement that changes a job.

All are counted by hour and by day in ``exit_counts``, and those that completed within a memory limit by day
and limit in ``completed_counts``. So the counts are exact whatever is written to the table ``jobs``, and no
other statement has to care.
"""

from collections.abc import Callable, Sequence

from exporter.time_units import DAY_NS, HOUR_NS

PERIODS = (HOUR_NS, DAY_NS)
WEEK_NS = 7 * DAY_NS
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

_Key = dict[str, str]
"""Key of a count, as columns and expressions of SQL."""


def _exit_keys(row: str) -> list[_Key]:
    """Return the keys of a job's counts in each period."""
    return [
        {
            "period_ns": f"{period}",
            "began_ns": f"{row}.finished_ns / {period} * {period}",
            "workload": f"{row}.workload",
            "status": f"{row}.status",
            "reason": f"{row}.reason",
            "code": f"coalesce({row}.code, {UNKNOWN_CODE})",
        }
        for period in PERIODS
    ]


def _completed_keys(row: str) -> list[_Key]:
    """Return the key of a completed run's count."""
    return [
        {
            "week_ns": f"{row}.finished_ns / {WEEK_NS} * {WEEK_NS}",
            "workload": f"{row}.workload",
            "memory_limit_bytes": f"{row}.memory_limit_bytes",
            "began_ns": f"{row}.finished_ns / {DAY_NS} * {DAY_NS}",
        }
    ]


def _add(table: str, key: _Key) -> str:
    columns, values = map(", ".join, zip(*key.items(), strict=True))
    # With its columns, since SQLite knows a conflict without them only since 3.35.
    once_more = f"ON CONFLICT ({columns}) DO UPDATE SET exits = exits + 1"
    # All of these are constants of this module.
    return f"INSERT INTO {table} VALUES ({values}, 1) {once_more};"  # noqa: S608


def _take_away(table: str, key: _Key) -> str:
    is_key = " AND ".join(f"{column} = {value}" for column, value in key.items())
    return (
        f"UPDATE {table} SET exits = exits - 1 WHERE {is_key}; "  # noqa: S608  # as above
        f"DELETE FROM {table} WHERE {is_key} AND exits = 0;"
    )


def _has_ended(row: str) -> str:
    return f"{row}.finished_ns IS NOT NULL AND {row}.reason IS NOT NULL"


def _has_completed(row: str) -> str:
    return " AND ".join(f"{row}.{condition}" for condition in (*COMPLETED, "finished_ns IS NOT NULL"))


def _triggers(
    name: str,
    table: str,
    keys: Callable[[str], Sequence[_Key]],
    is_counted: Callable[[str], str],
    columns: Sequence[str],
) -> tuple[str, ...]:
    """Return the triggers that keep a table of counts; only ``columns`` decide what is counted, and where."""

    def trigger(what: str, when: str, condition: str, statements: list[str]) -> str:
        of_rows = f"AFTER {when} ON jobs WHEN {condition}"
        return f"CREATE TRIGGER {name}_{what} {of_rows} BEGIN {' '.join(statements)} END"

    add = [_add(table, key) for key in keys("NEW")]
    take_away = [_take_away(table, key) for key in keys("OLD")]
    has_changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    return (
        trigger("inserted", "INSERT", is_counted("NEW"), add),
        trigger("deleted", "DELETE", is_counted("OLD"), take_away),
        # An end that changes counts as one that was deleted, and one that was inserted.
        trigger("changed_from", "UPDATE", f"{is_counted('OLD')} AND ({has_changed})", take_away),
        trigger("changed_to", "UPDATE", f"{is_counted('NEW')} AND ({has_changed})", add),
    )


EXIT_COUNT_TRIGGERS = (
    *_triggers(
        "exit",
        "exit_counts",
        _exit_keys,
        _has_ended,
        ("finished_ns", "workload", "status", "reason", "code"),
    ),
    *_triggers(
        "completed",
        "completed_counts",
        _completed_keys,
        _has_completed,
        ("finished_ns", "workload", "status", "reason", "code", "oom_kills", "memory_limit_bytes"),
    ),
)
