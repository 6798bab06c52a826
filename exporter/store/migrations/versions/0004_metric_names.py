"""Rename the series of renamed metrics, so that their counters continue.

The names are constants, not today's definitions, which may change again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A histogram has one name for all its series. Gauges are missing: they are not stored.
RENAMED = {
    "exit_exporter_store_commit_seconds": "exit_exporter_store_commit_duration_seconds",
    "exit_exporter_rows_given_up_total": "exit_exporter_job_records_dropped_total",
    "exit_exporter_spans_exported_total": "exit_exporter_otlp_jobs_exported_total",
    "exit_exporter_spans_rejected_total": "exit_exporter_otlp_jobs_rejected_total",
    "exit_exporter_spans_given_up_total": "exit_exporter_otlp_jobs_dropped_total",
    "exit_exporter_workloads_folded_total": "exit_exporter_jobs_over_workload_limit_total",
}

series = sa.table("series", sa.column("name", sa.String))


def upgrade() -> None:
    for old, new in RENAMED.items():
        rename(old, new)


def downgrade() -> None:
    for old, new in RENAMED.items():
        rename(new, old)


def rename(old: str, new: str) -> None:
    op.execute(series.update().where(series.c.name == old).values(name=new))
