"""Add what scrapes are shown of a series, and merge buckets of the histogram of run durations.

The bounds and the name are constants, not today's definitions, which may change again.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

HISTOGRAM = "container_run_duration_seconds"
OLD_BOUNDS = (0.1, 1, 5, 15, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 259200, 604800, float("inf"))
NEW_BOUNDS = (1, 15, 60, 300, 3600, 21600, 86400, float("inf"))

series = sa.table(
    "series", sa.column("name", sa.String), sa.column("labels", sa.String), sa.column("value", sa.Float)
)


def upgrade() -> None:
    # Each old bucket goes into the first new one whose bound is not lower.
    move_counts([next(i for i, bound in enumerate(NEW_BOUNDS) if bound >= old) for old in OLD_BOUNDS])
    op.add_column("series", sa.Column("shown", sa.Float))
    op.create_table(
        "scrape_interval",
        sa.Column("once", sa.Integer, primary_key=True),
        sa.Column("seconds", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("scrape_interval")
    op.drop_column("series", "shown")
    move_counts([OLD_BOUNDS.index(bound) for bound in NEW_BOUNDS])


def move_counts(targets: list[int]) -> None:
    """Move the count of each bucket to the one with the index ``targets`` gives, and add what meets there."""
    connection, is_histogram = op.get_bind(), series.c.name == HISTOGRAM
    counts: dict[str, float] = {}
    for row in connection.execute(sa.select(series.c.labels, series.c.value).where(is_histogram)):
        *labels, bucket = json.loads(row.labels)
        target = bucket if bucket == "sum" else str(targets[int(bucket)])
        key = json.dumps([*labels, target])
        counts[key] = counts.get(key, 0) + row.value
    connection.execute(series.delete().where(is_histogram))
    rows = [{"name": HISTOGRAM, "labels": labels, "value": value} for labels, value in counts.items()]
    if rows:
        connection.execute(series.insert(), rows)
