"""Add the indexes of the report: all ended jobs by what they are counted by, and those with OOM kills."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Index: condition and columns.
ADDED = {
    "jobs_ended": (
        "finished_ns IS NOT NULL",
        "workload status reason code finished_ns instance oom_kills memory_limit_bytes",
    ),
    "jobs_oom_killed": (
        "oom_kills > 0",
        "finished_ns workload instance memory_limit_bytes oom_limit code started_ns",
    ),
}


def upgrade() -> None:
    for name, (condition, columns) in ADDED.items():
        op.create_index(name, "jobs", columns.split(), sqlite_where=sa.text(condition))


def downgrade() -> None:
    for name in ADDED:
        op.drop_index(name, "jobs")
