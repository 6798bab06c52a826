"""Count exits by numbers of what they are counted by, for the report: it had to sort long texts.

The triggers are those of this revision, not today's, which may change again.
"""

from collections.abc import Sequence
from importlib import import_module

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

HOUR_NS, DAY_NS, MONTH_NS = 3600000000000, 86400000000000, 2419200000000000

# ROW stands for NEW or OLD. All that these statements are made of are constants of this module.
IS_EXIT = "ROW.finished_ns IS NOT NULL AND ROW.reason IS NOT NULL"
IS_EXIT_GROUP = (
    "code = coalesce(ROW.code, -1) AND workload = ROW.workload "
    "AND status = ROW.status AND reason = ROW.reason"
)
GROUP_ID = f"(SELECT id FROM exit_groups WHERE {IS_EXIT_GROUP})"  # noqa: S608
ADD_EXIT_GROUP = """
INSERT INTO exit_groups (code, workload, status, reason)
VALUES (coalesce(ROW.code, -1), ROW.workload, ROW.status, ROW.reason)
ON CONFLICT (code, workload, status, reason) DO NOTHING;
"""
ADD_EXIT = f"""
INSERT INTO exit_counts (period_ns, began_ns, group_id, exits)
VALUES (PERIOD, ROW.finished_ns / PERIOD * PERIOD, {GROUP_ID}, 1)
ON CONFLICT (period_ns, began_ns, group_id) DO UPDATE SET exits = exits + 1;
"""  # noqa: S608
IS_EXIT_COUNT = (
    f"period_ns = PERIOD AND began_ns = ROW.finished_ns / PERIOD * PERIOD AND group_id = {GROUP_ID}"
)
TAKE_EXIT_AWAY = f"""
UPDATE exit_counts SET exits = exits - 1 WHERE {IS_EXIT_COUNT};
DELETE FROM exit_counts WHERE {IS_EXIT_COUNT} AND exits = 0;
"""  # noqa: S608
TAKE_EXIT_GROUP_AWAY = f"""
DELETE FROM exit_groups WHERE {IS_EXIT_GROUP} AND NOT EXISTS
(SELECT 1 FROM exit_counts INDEXED BY exit_counts_by_group WHERE period_ns = {DAY_NS} AND group_id = id);
"""  # noqa: S608
IS_COMPLETED = """
ROW.status = 'done' AND ROW.reason = 'Completed' AND ROW.code = 0 AND ROW.oom_kills = 0
AND ROW.memory_limit_bytes IS NOT NULL AND ROW.finished_ns IS NOT NULL
"""
IS_LIMIT = "workload = ROW.workload AND memory_limit_bytes = ROW.memory_limit_bytes"
LIMIT_ID = f"(SELECT id FROM completed_limits WHERE {IS_LIMIT})"  # noqa: S608
IS_COMPLETED_COUNT = (
    f"month_ns = ROW.finished_ns / {MONTH_NS} * {MONTH_NS} "
    f"AND began_ns = ROW.finished_ns / {DAY_NS} * {DAY_NS} "
    f"AND limit_id = {LIMIT_ID}"
)
ADD_COMPLETED = f"""
INSERT INTO completed_limits (workload, memory_limit_bytes) VALUES (ROW.workload, ROW.memory_limit_bytes)
ON CONFLICT (workload, memory_limit_bytes) DO NOTHING;
INSERT INTO completed_counts (month_ns, began_ns, limit_id, exits)
VALUES (ROW.finished_ns / {MONTH_NS} * {MONTH_NS}, ROW.finished_ns / {DAY_NS} * {DAY_NS},
{LIMIT_ID}, 1)
ON CONFLICT (month_ns, began_ns, limit_id) DO UPDATE SET exits = exits + 1;
"""  # noqa: S608
TAKE_COMPLETED_AWAY = f"""
UPDATE completed_counts SET exits = exits - 1 WHERE {IS_COMPLETED_COUNT};
DELETE FROM completed_counts WHERE {IS_COMPLETED_COUNT} AND exits = 0;
DELETE FROM completed_limits WHERE {IS_LIMIT} AND NOT EXISTS
(SELECT 1 FROM jobs INDEXED BY jobs_completed
WHERE status = 'done' AND reason = 'Completed' AND code = 0 AND oom_kills = 0
AND memory_limit_bytes IS NOT NULL AND jobs.workload = completed_limits.workload
AND jobs.memory_limit_bytes = completed_limits.memory_limit_bytes);
"""  # noqa: S608


def _of_periods(statements: str) -> str:
    return "".join(statements.replace("PERIOD", str(period)) for period in (HOUR_NS, DAY_NS))


def _triggers(name: str, condition: str, columns: Sequence[str], add: str, take_away: str) -> list[str]:
    has_changed = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)

    def trigger(what: str, when: str, row: str, statements: str, more: str = "") -> str:
        made = f"AFTER {when} ON jobs WHEN {condition}{more} BEGIN {statements} END"
        # As in a new database: in one line.
        return " ".join(f"CREATE TRIGGER {name}_{what} {made}".split()).replace("ROW.", f"{row}.")

    return [
        trigger("inserted", "INSERT", "NEW", add),
        trigger("deleted", "DELETE", "OLD", take_away),
        trigger("changed_from", "UPDATE", "OLD", take_away, f" AND ({has_changed})"),
        trigger("changed_to", "UPDATE", "NEW", add, f" AND ({has_changed})"),
    ]


ENDED = ("finished_ns", "workload", "status", "reason", "code")
TRIGGERS = (
    *_triggers(
        "exit",
        IS_EXIT,
        ENDED,
        ADD_EXIT_GROUP + _of_periods(ADD_EXIT),
        _of_periods(TAKE_EXIT_AWAY) + TAKE_EXIT_GROUP_AWAY,
    ),
    *_triggers(
        "completed",
        IS_COMPLETED,
        (*ENDED, "oom_kills", "memory_limit_bytes"),
        ADD_COMPLETED,
        TAKE_COMPLETED_AWAY,
    ),
)

# In the order of the old keys, and so nearly in that of the new ones.
GROUPS = f"""
INSERT INTO exit_groups (code, workload, status, reason)
SELECT DISTINCT code, workload, status, reason FROM old_exit_counts WHERE period_ns = {DAY_NS}
ORDER BY workload, status, reason, code
"""  # noqa: S608  # a constant
COUNTS = """
INSERT INTO exit_counts (period_ns, began_ns, group_id, exits)
SELECT period_ns, began_ns, id, exits FROM old_exit_counts AS old CROSS JOIN exit_groups AS exit_group
ON exit_group.code = old.code AND exit_group.workload = old.workload
AND exit_group.status = old.status AND exit_group.reason = old.reason
"""
LIMITS = """
INSERT INTO completed_limits (workload, memory_limit_bytes)
SELECT DISTINCT workload, memory_limit_bytes FROM old_completed_counts ORDER BY 1, 2
"""
COMPLETED_COUNTS = f"""
INSERT INTO completed_counts (month_ns, limit_id, began_ns, exits)
SELECT began_ns / {MONTH_NS} * {MONTH_NS}, id, began_ns, exits
FROM old_completed_counts AS old CROSS JOIN completed_limits AS completed
ON completed.workload = old.workload AND completed.memory_limit_bytes = old.memory_limit_bytes
"""  # noqa: S608  # a constant


def upgrade() -> None:
    drop_triggers()
    for table in ("exit_counts", "completed_counts"):
        op.rename_table(table, f"old_{table}")
    create_exit_counts()
    create_completed_counts()
    for table in ("exit_counts", "completed_counts"):
        op.drop_table(f"old_{table}")
    for trigger in TRIGGERS:
        op.execute(trigger)


def create_exit_counts() -> None:
    """Create the tables of exits, and fill them from the old one."""
    op.create_table(
        "exit_groups",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.BigInteger, nullable=False),
        sa.Column("workload", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.UniqueConstraint("code", "workload", "status", "reason"),
    )
    op.create_table(
        "exit_counts",
        sa.Column("period_ns", sa.BigInteger, primary_key=True),
        sa.Column("began_ns", sa.BigInteger, primary_key=True),
        sa.Column("group_id", sa.Integer, primary_key=True),
        sa.Column("exits", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(GROUPS)
    op.execute(COUNTS)
    is_of_day = sa.text(f"period_ns = {DAY_NS}")
    op.create_index("exit_counts_by_group", "exit_counts", ["group_id"], sqlite_where=is_of_day)


def create_completed_counts() -> None:
    """Create the tables of completed runs, and fill them from the old one."""
    op.create_table(
        "completed_limits",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workload", sa.String, nullable=False),
        sa.Column("memory_limit_bytes", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("workload", "memory_limit_bytes"),
    )
    op.create_table(
        "completed_counts",
        sa.Column("month_ns", sa.BigInteger, primary_key=True),
        sa.Column("limit_id", sa.Integer, primary_key=True),
        sa.Column("began_ns", sa.BigInteger, primary_key=True),
        sa.Column("exits", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(LIMITS)
    op.execute(COMPLETED_COUNTS)


def downgrade() -> None:
    drop_triggers()
    for table in ("exit_counts", "exit_groups", "completed_counts", "completed_limits"):
        op.drop_table(table)
    exits, completed = (
        import_module(f"exporter.store.migrations.versions.{name}")
        for name in ("0014_exit_counts", "0016_completed_counts")
    )
    exits.create_counts()
    completed.upgrade()


def drop_triggers() -> None:
    """Drop the triggers of both tables of counts."""
    for table in ("exit", "completed"):
        for what in ("inserted", "deleted", "changed_from", "changed_to"):
            op.execute(f"DROP TRIGGER {table}_{what}")
