"""Add the indexes of the report: all ended jobs by what they are counted by, and those with OOM kills."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Index: columns, and the condition of a partial one.
ADDED = {
    "jobs_ended": (
        [
            "workload",
            "status",
            "reason",
            "code",
            "finished_ns",
            "instance",
            "oom_kills",
            "memory_limit_bytes",
        ],
        "finished_ns IS NOT NULL",
    ),
    "jobs_oom_killed": (["finished_ns"], "oom_kills > 0"),
}


def upgrade() -> None:
    for name, (columns, condition) in ADDED.items():
        op.create_index(name, "jobs", columns, sqlite_where=sa.text(condition))


def downgrade() -> None:
    for name in ADDED:
        op.drop_index(name, "jobs")
