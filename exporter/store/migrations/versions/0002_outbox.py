"""Columns for the span and the log tail of a job; tables of the outbox and the exporter's id."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = ("traceparent", "trace_id", "span_id", "parent_span_id", "log_tail")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("jobs", sa.Column(name, sa.String))
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.String, nullable=False),
        sa.Column("signal", sa.String, nullable=False),
        sa.Column("kept_ns", sa.BigInteger, nullable=False),
        sa.Column("aside", sa.Boolean, nullable=False),
        sa.Column("refused", sa.String),
        sa.UniqueConstraint("job_id", "signal"),
    )
    op.create_index("outbox_waiting", "outbox", ["signal", "aside", "number"])
    op.create_table(
        "identity",
        sa.Column("once", sa.Integer, primary_key=True),
        sa.Column("instance_id", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("identity")
    op.drop_table("outbox")
    for name in COLUMNS:
        op.drop_column("jobs", name)
