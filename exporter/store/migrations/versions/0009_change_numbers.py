"""Add the order in which jobs were written, so that a stream of them can be resumed."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("change_number", sa.BigInteger))
    op.create_index("jobs_by_change_number", "jobs", ["change_number"])


def downgrade() -> None:
    op.drop_index("jobs_by_change_number", "jobs")
    op.drop_column("jobs", "change_number")
