"""Add the indexes of the filters of jobs, each with the order of the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ORDER = ["began_ns", "id"]
# Index: columns, and the condition of a partial one.
ADDED = {
    "jobs_by_status": (["status", *_ORDER], None),
    "jobs_by_reason": (["reason", *_ORDER], "reason IS NOT NULL"),
    "jobs_by_code": (["code", *_ORDER], "code IS NOT NULL"),
    "jobs_by_workload": (["workload", *_ORDER], None),
    "jobs_by_instance": (["instance", *_ORDER], None),
    "jobs_by_supervised_id": (["supervised_id", *_ORDER], "supervised_id IS NOT NULL"),
    "jobs_by_supervised_job": (["supervised_job"], "supervised_job IS NOT NULL"),
    "jobs_ran_long": (["finished_ns", "began_ns"], "finished_ns - began_ns > 3600000000000"),
    "jobs_by_name": (["name", "began_ns"], None),
}
BEFORE = {
    "jobs_by_status": ["status", "began_ns"],
    "jobs_by_supervised_id": ["supervised_id"],
    "jobs_by_supervised_job": ["supervised_job"],
}


def upgrade() -> None:
    for name in BEFORE:
        op.drop_index(name, "jobs")
    for name, (columns, condition) in ADDED.items():
        op.create_index(name, "jobs", columns, sqlite_where=None if condition is None else sa.text(condition))


def downgrade() -> None:
    for name in ADDED:
        op.drop_index(name, "jobs")
    for name, columns in BEFORE.items():
        op.create_index(name, "jobs", columns)
