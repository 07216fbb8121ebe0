"""Have what waits for power-offs compared anew."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forget which saved definitions were compared with what runs: the next reading does it by the rules of now."""
    op.execute("UPDATE vm_definition SET saved_digest = 'unread' WHERE saved_digest IS NOT NULL")
