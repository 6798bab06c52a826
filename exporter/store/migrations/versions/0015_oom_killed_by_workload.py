"""Order the index of OOM kills as the report groups them: to sort them took longer than to read them."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BEFORE = ["finished_ns", "workload", "instance", "memory_limit_bytes", "oom_limit", "code", "started_ns"]
AFTER = ["workload", "memory_limit_bytes", "oom_limit", "finished_ns", "instance", "code", "started_ns"]


def upgrade() -> None:
    index_oom_killed(AFTER)


def downgrade() -> None:
    index_oom_killed(BEFORE)


def index_oom_killed(columns: list[str]) -> None:
    """Create the index of OOM kills anew."""
    op.drop_index("jobs_oom_killed", "jobs")
    op.create_index("jobs_oom_killed", "jobs", columns, sqlite_where=sa.text("oom_kills > 0"))
