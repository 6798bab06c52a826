"""Add the indexes of the times at which jobs ended: for counts of reasons, and for the latest failures."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Index: columns, and the condition.
ADDED = {
    "jobs_by_end": (["finished_ns", "status", "reason"], "finished_ns IS NOT NULL"),
    "jobs_failed_by_end": (["finished_ns", "id"], "status IN ('failed', 'unknown')"),
}


def upgrade() -> None:
    for name, (columns, condition) in ADDED.items():
        op.create_index(name, "jobs", columns, sqlite_where=sa.text(condition))


def downgrade() -> None:
    for name in ADDED:
        op.drop_index(name, "jobs")
