"""Add the runtime of a job's container, and the id and the digests of its image."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

COLUMNS = {"runtime": sa.String, "image_id": sa.String, "image_digests": sa.JSON}


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("jobs", sa.Column(name, kind))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("jobs", name)
