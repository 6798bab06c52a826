"""Columns for evidence from the engine and the kernel log, and for the time of the exit's event."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = {
    "event_ns": sa.BigInteger,
    "start_error": sa.String,
    "oom_limit": sa.String,
    "causes": sa.JSON,
    "not_known": sa.JSON,
}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("jobs", name)
