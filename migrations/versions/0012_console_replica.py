"""Open consoles say which replica serves them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the replica's id; no console is open while the schema changes, so rows that are there are left over."""
    op.execute(sa.delete(sa.table("console")))
    with op.batch_alter_table("console") as table:
        table.add_column(sa.Column("replica_id", sa.Text(), nullable=False))
