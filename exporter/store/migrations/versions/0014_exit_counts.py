"""Count all exits on record by hour and by day, for the report.

The triggers are those of this revision, not today's, which may change again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
PERIODS = (HOUR_NS, DAY_NS)
# A code that is not known cannot be null in a key.
UNKNOWN_CODE = -1


def _key(row: str, period: int) -> dict[str, str]:
    """Return the key of a job's count in a period, as columns and expressions of SQL."""
    return {
        "period_ns": f"{period}",
        "began_ns": f"{row}.finished_ns / {period} * {period}",
        "workload": f"{row}.workload",
        "status": f"{row}.status",
        "reason": f"{row}.reason",
        "code": f"coalesce({row}.code, {UNKNOWN_CODE})",
    }


def _add(row: str, period: int) -> str:
    columns, key = map(", ".join, zip(*_key(row, period).items(), strict=True))
    # With its columns, since SQLite knows a conflict without them only since 3.35.
    once_more = f"ON CONFLICT ({columns}) DO UPDATE SET exits = exits + 1"
    # All of these are constants of this module.
    return f"INSERT INTO exit_counts VALUES ({key}, 1) {once_more};"  # noqa: S608


def _take_away(row: str, period: int) -> str:
    key = " AND ".join(f"{column} = {value}" for column, value in _key(row, period).items())
    return (
        f"UPDATE exit_counts SET exits = exits - 1 WHERE {key}; "  # noqa: S608  # as above
        f"DELETE FROM exit_counts WHERE {key} AND exits = 0;"
    )


def _has_ended(row: str) -> str:
    return f"{row}.finished_ns IS NOT NULL AND {row}.reason IS NOT NULL"


def _trigger(name: str, when: str, condition: str, statements: list[str]) -> str:
    return f"CREATE TRIGGER {name} AFTER {when} ON jobs WHEN {condition} BEGIN {' '.join(statements)} END"


_COUNTED = ("finished_ns", "workload", "status", "reason", "code")
_HAS_CHANGED = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in _COUNTED)
_ADD = [_add("NEW", period) for period in PERIODS]
_TAKE_AWAY = [_take_away("OLD", period) for period in PERIODS]

TRIGGERS = (
    _trigger("exit_inserted", "INSERT", _has_ended("NEW"), _ADD),
    _trigger("exit_deleted", "DELETE", _has_ended("OLD"), _TAKE_AWAY),
    # An end that changes counts as one that was deleted, and one that was inserted.
    _trigger("exit_changed_from", "UPDATE", f"{_has_ended('OLD')} AND ({_HAS_CHANGED})", _TAKE_AWAY),
    _trigger("exit_changed_to", "UPDATE", f"{_has_ended('NEW')} AND ({_HAS_CHANGED})", _ADD),
)

COUNT = """
INSERT INTO exit_counts
SELECT {period}, finished_ns / {period} * {period}, workload, status, reason, coalesce(code, -1), count(*)
FROM jobs WHERE finished_ns IS NOT NULL AND reason IS NOT NULL GROUP BY 2, 3, 4, 5, 6
"""
ENDED = ["workload", "status", "reason", "code", "finished_ns"]
ENDED_BEFORE = [*ENDED, "instance", "oom_kills", "memory_limit_bytes"]


def upgrade() -> None:
    create_counts()
    index_ended(["instance", *ENDED])


def create_counts() -> None:
    """Create the table and its triggers, and count all exits on record."""
    op.create_table(
        "exit_counts",
        sa.Column("period_ns", sa.BigInteger, primary_key=True),
        sa.Column("began_ns", sa.BigInteger, primary_key=True),
        sa.Column("workload", sa.String, primary_key=True),
        sa.Column("status", sa.String, primary_key=True),
        sa.Column("reason", sa.String, primary_key=True),
        sa.Column("code", sa.BigInteger, primary_key=True),
        sa.Column("exits", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    for period in PERIODS:
        op.execute(COUNT.format(period=period))
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    for name in ("exit_inserted", "exit_deleted", "exit_changed_from", "exit_changed_to"):
        op.execute(f"DROP TRIGGER {name}")
    op.drop_table("exit_counts")
    index_ended(ENDED_BEFORE)


def index_ended(columns: list[str]) -> None:
    """Create the index of ended jobs anew."""
    op.drop_index("jobs_ended", "jobs")
    op.create_index("jobs_ended", "jobs", columns, sqlite_where=sa.text("finished_ns IS NOT NULL"))
