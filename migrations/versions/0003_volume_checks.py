"""What is recorded of volumes and their checks, of pools that stop, and of uploads under way."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who recorded a volume's format and what holds it back, why a pool stopped, and the heads of uploads."""
    op.add_column("volume", sa.Column("format_by", sa.Text(), nullable=True))
    op.add_column("volume", sa.Column("condition", sa.Text(), nullable=True))
    op.add_column("volume", sa.Column("condition_why", sa.Text(), nullable=True))
    op.add_column("volume", sa.Column("condition_params", sa.JSON(), nullable=True))
    op.add_column("volume", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("pool", sa.Column("links_hidden", sa.Boolean(), nullable=True))
    op.add_column("pool", sa.Column("stopped_by", sa.JSON(), nullable=True))
    op.add_column("upload", sa.Column("head", sa.LargeBinary(), nullable=True))
