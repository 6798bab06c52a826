"""Add the job that a supervisor made a container for."""

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


def downgrade() -> None:
    op.drop_index("jobs_by_supervised_job", "jobs")
    op.drop_index("jobs_by_supervised_id", "jobs")
    for name in COLUMNS:
        op.drop_column("jobs", name)
