"""Count all completed runs on record by day and memory limit, for the report.

The triggers are those of this revision, not today's, which may change again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

DAY_NS = 24 * 3600 * 10**9
WEEK_NS = 7 * DAY_NS
COMPLETED = (
    "status = 'done'",
    "reason = 'Completed'",
    "code = 0",
    "oom_kills = 0",
    "memory_limit_bytes IS NOT NULL",
)
COUNTED = ("finished_ns", "workload", "status", "reason", "code", "oom_kills", "memory_limit_bytes")
HAS_CHANGED = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in COUNTED)


def _has_completed(row: str) -> str:
    return " AND ".join(f"{row}.{condition}" for condition in (*COMPLETED, "finished_ns IS NOT NULL"))


def _key(row: str) -> dict[str, str]:
    """Return the key of a completed run's count, as columns and expressions of SQL."""
    return {
        "week_ns": f"{row}.finished_ns / {WEEK_NS} * {WEEK_NS}",
        "workload": f"{row}.workload",
        "memory_limit_bytes": f"{row}.memory_limit_bytes",
        "began_ns": f"{row}.finished_ns / {DAY_NS} * {DAY_NS}",
    }


def _add() -> str:
    columns, values = map(", ".join, zip(*_key("NEW").items(), strict=True))
    # With its columns, since SQLite knows a conflict without them only since 3.35.
    once_more = f"ON CONFLICT ({columns}) DO UPDATE SET exits = exits + 1"
    # All of these are constants of this module.
    return f"INSERT INTO completed_counts VALUES ({values}, 1) {once_more};"  # noqa: S608


def _take_away() -> str:
    is_key = " AND ".join(f"{column} = {value}" for column, value in _key("OLD").items())
    return (
        f"UPDATE completed_counts SET exits = exits - 1 WHERE {is_key}; "  # noqa: S608  # as above
        f"DELETE FROM completed_counts WHERE {is_key} AND exits = 0;"
    )


def _trigger(what: str, when: str, condition: str, statements: str) -> str:
    of_rows = f"AFTER {when} ON jobs WHEN {condition}"
    return f"CREATE TRIGGER completed_{what} {of_rows} BEGIN {statements} END"


TRIGGERS = (
    _trigger("inserted", "INSERT", _has_completed("NEW"), _add()),
    _trigger("deleted", "DELETE", _has_completed("OLD"), _take_away()),
    # An end that changes counts as one that was deleted, and one that was inserted.
    _trigger("changed_from", "UPDATE", f"{_has_completed('OLD')} AND ({HAS_CHANGED})", _take_away()),
    _trigger("changed_to", "UPDATE", f"{_has_completed('NEW')} AND ({HAS_CHANGED})", _add()),
)

# In the order of the index of completed runs, nothing is sorted.
COUNT = f"""
INSERT INTO completed_counts
SELECT
    finished_ns / {WEEK_NS} * {WEEK_NS},
    workload,
    memory_limit_bytes,
    finished_ns / {DAY_NS} * {DAY_NS},
    count(*)
FROM jobs INDEXED BY jobs_completed WHERE {" AND ".join(COMPLETED)} AND finished_ns IS NOT NULL
GROUP BY 2, 3, 4
"""  # noqa: S608  # as above


def upgrade() -> None:
    op.create_table(
        "completed_counts",
        sa.Column("week_ns", sa.BigInteger, primary_key=True),
        sa.Column("workload", sa.String, primary_key=True),
        sa.Column("memory_limit_bytes", sa.BigInteger, primary_key=True),
        sa.Column("began_ns", sa.BigInteger, primary_key=True),
        sa.Column("exits", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(COUNT)
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    for what in ("inserted", "deleted", "changed_from", "changed_to"):
        op.execute(f"DROP TRIGGER completed_{what}")
    op.drop_table("completed_counts")
