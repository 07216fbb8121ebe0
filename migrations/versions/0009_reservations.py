"""Reservations of memory; and what waits for power-offs is compared anew."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add reservations. Forget which saved definitions were compared, so that the next reading does it by the rules of now."""
    op.create_table(
        "reservation",
        sa.Column("task_id", sa.String(24), sa.ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("host_id", sa.String(24), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_reservation_host_id", "reservation", ["host_id"])
    op.execute("UPDATE vm_definition SET saved_digest = 'unread' WHERE saved_digest IS NOT NULL")
