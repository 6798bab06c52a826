"""Add since when each engine's jobs are all on record.

Whatever was deleted of an engine had been read by then, and could not be replayed: it is ten seconds older
than what the engine's cursor may replay. These are constants, not those of today's pruning, which may change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MARK_ENGINES = """
INSERT INTO pruned_engines
SELECT engine, min(before_ns, max(floor_ns, event_ns - 1000000000) - 10000000000) FROM cursors JOIN pruned
"""


def upgrade() -> None:
    op.create_table(
        "pruned_engines",
        sa.Column("engine", sa.String, primary_key=True),
        sa.Column("before_ns", sa.BigInteger, nullable=False),
    )
    op.execute(MARK_ENGINES)


def downgrade() -> None:
    op.drop_table("pruned_engines")
