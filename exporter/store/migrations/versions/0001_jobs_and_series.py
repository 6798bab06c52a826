"""Tables of jobs, series, cursors and the time of the last pruning."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("container_id", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("instance", sa.String, nullable=False),
        sa.Column("engine", sa.String, nullable=False),
        sa.Column("workload", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("repository", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("code", sa.BigInteger),
        sa.Column("reason", sa.String),
        sa.Column("termination", sa.String),
        sa.Column("error", sa.String),
        sa.Column("recovery", sa.String),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("oom_kills", sa.Integer, nullable=False),
        sa.Column("memory_limit_bytes", sa.BigInteger),
        sa.Column("began_ns", sa.BigInteger, nullable=False),
        sa.Column("created_ns", sa.BigInteger),
        sa.Column("started_ns", sa.BigInteger),
        sa.Column("finished_ns", sa.BigInteger),
        sa.Column("restarts", sa.Integer),
        sa.Column("kills", sa.JSON, nullable=False),
        sa.Column("oom_witnesses", sa.JSON, nullable=False),
    )
    op.create_index("jobs_newest", "jobs", ["began_ns", "id"])
    op.create_index("jobs_of_container", "jobs", ["container_id", "attempt"])
    op.create_index("jobs_by_status", "jobs", ["status", "began_ns"])
    op.create_table(
        "series",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("labels", sa.String, primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_table(
        "cursors",
        sa.Column("engine", sa.String, primary_key=True),
        sa.Column("event_ns", sa.BigInteger, nullable=False),
        sa.Column("floor_ns", sa.BigInteger, nullable=False),
        sa.Column("read_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "pruned",
        sa.Column("once", sa.Integer, primary_key=True),
        sa.Column("before_ns", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("pruned")
    op.drop_table("cursors")
    op.drop_table("series")
    op.drop_table("jobs")
