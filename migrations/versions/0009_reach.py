"""Tables and columns of reach."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what VMs may be plugged into on a host, and the whole definitions of deleted VMs, sealed."""
    for name in ("allowed_bridges", "allowed_interfaces"):
        op.add_column("host", sa.Column(name, sa.JSON(), nullable=True))
    op.add_column("removed_vm", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("saved_spec", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    _forget_pasted_xml()


def _forget_pasted_xml() -> None:
    """Ended tasks keep no XML that somebody pasted: it may hold passwords."""
    task = sa.table(
        "task", sa.column("id"), sa.column("kind"), sa.column("state"), sa.column("params", sa.JSON)
    )
    ended = ("succeeded", "failed", "cancelled")
    connection = op.get_bind()
    query = sa.select(task.c.id, task.c.params).where(task.c.kind == "vm.define", task.c.state.in_(ended))
    for row in connection.execute(query).all():
        kept = {name: value for name, value in row.params.items() if name != "xml"}
        connection.execute(sa.update(task).where(task.c.id == row.id).values(params=kept))
