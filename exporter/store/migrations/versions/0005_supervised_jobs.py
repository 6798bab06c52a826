"""Add the job that a supervisor made a container for, and what the supervisor's server reports of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = {"supervised": sa.JSON, "supervised_id": sa.String, "supervised_job": sa.String}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind))
    op.create_index("jobs_by_supervised_id", "jobs", ["supervised_id"])
    op.create_index("jobs_by_supervised_job", "jobs", ["supervised_job"])
    op.create_table(
        "submissions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("has_container", sa.Boolean, nullable=False),
        sa.Column("finished_ns", sa.BigInteger),
        sa.Column("seen_ns", sa.BigInteger, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("submissions")
    op.drop_index("jobs_by_supervised_job", "jobs")
    op.drop_index("jobs_by_supervised_id", "jobs")
    for name in COLUMNS:
        op.drop_column("jobs", name)
