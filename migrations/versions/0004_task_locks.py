"""Locks of tasks in a table of their own, since a task holds several things; what is known of pools on other hosts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the lock of each active task to the table of locks; pools get their source and what verification found."""
    op.create_table(
        "task_lock",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_id", sa.String(length=24), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_lock_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("name", "task_id", name=op.f("pk_task_lock")),
    )
    op.create_index(op.f("ix_task_lock_task_id"), "task_lock", ["task_id"], unique=False)
    op.create_index(
        "uq_task_lock_exclusive",
        "task_lock",
        ["name"],
        unique=True,
        sqlite_where=sa.text("exclusive IS 1"),
        postgresql_where=sa.text("exclusive IS TRUE"),
    )
    task = sa.table("task", sa.column("id"), sa.column("lock"), sa.column("state"))
    lock = sa.table(
        "task_lock", sa.column("name"), sa.column("task_id"), sa.column("exclusive", sa.Boolean())
    )
    active = sa.select(task.c.lock, task.c.id, sa.true()).where(
        task.c.lock.is_not(None), task.c.state.in_(("queued", "running", "cancelling"))
    )
    op.execute(lock.insert().from_select(["name", "task_id", "exclusive"], active))
    op.drop_index("uq_task_active_lock", table_name="task")
    op.drop_column("task", "lock")
    op.add_column("pool", sa.Column("source", sa.Text(), nullable=True))
    op.add_column("pool", sa.Column("verify_requested_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "pool_difference",
        sa.Column("pool_id", sa.String(length=24), nullable=False),
        sa.Column("other_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pool.id"], name=op.f("fk_pool_difference_pool_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["pool.id"], name=op.f("fk_pool_difference_other_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pool_id", "other_id", name=op.f("pk_pool_difference")),
    )
    op.create_index(op.f("ix_pool_difference_other_id"), "pool_difference", ["other_id"], unique=False)
