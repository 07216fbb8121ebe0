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
