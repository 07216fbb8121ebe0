"""Conditions of objects, and when a task last changed something on its host."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of conditions, and the column of tasks."""
    op.create_table(
        "condition",
        sa.Column("object_id", sa.String(length=24), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_condition_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("object_id", "code", "subject", name=op.f("pk_condition")),
    )
    op.create_index(op.f("ix_condition_host_id"), "condition", ["host_id"], unique=False)
    op.add_column("task", sa.Column("acted_at", sa.DateTime(timezone=True), nullable=True))
