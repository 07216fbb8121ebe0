"""One request at a time writes a part of an upload."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add who writes a part of an upload now, and until when at least."""
    op.add_column("upload", sa.Column("claim", sa.String(32)))
    op.add_column("upload", sa.Column("claimed_until", sa.DateTime(timezone=True)))
