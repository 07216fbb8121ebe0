"""What runs of a storage pool, where that differs from its saved definition."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next reading of each pool fills it."""
    op.add_column("pool", sa.Column("live_xml", sa.Text(), nullable=True))
