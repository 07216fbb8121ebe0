"""Tables and columns of reach."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what VMs may be plugged into on a host."""
    for name in ("allowed_bridges", "allowed_interfaces"):
        op.add_column("host", sa.Column(name, sa.JSON(), nullable=True))
