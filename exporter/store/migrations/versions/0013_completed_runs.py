"""Add the index of the runs that completed, by their memory limit: the report counts them in ranges of it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

IS_COMPLETED = (
    "status = 'done' AND reason = 'Completed' AND code = 0 "
    "AND oom_kills = 0 AND memory_limit_bytes IS NOT NULL"
)


def upgrade() -> None:
    columns = ["workload", "memory_limit_bytes", "finished_ns", "instance"]
    op.create_index("jobs_completed", "jobs", columns, sqlite_where=sa.text(IS_COMPLETED))


def downgrade() -> None:
    op.drop_index("jobs_completed", "jobs")
