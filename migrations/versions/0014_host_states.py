"""The connection to a host and its administrative state are two columns."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Renamed in place: SQLite would delete what refers to a host if its table were made anew.
RENAMED = (
    ("state", "connection"),
    ("state_reason", "connection_reason"),
    ("state_params", "connection_params"),
    ("state_since", "connection_since"),
)
DISABLED = "The host is disabled: Vigie does not connect to it."
_host = sa.table(
    "host",
    *map(sa.column, ("state", "state_reason", "admin_state")),
    *(sa.column(name, sa.Boolean) for name in ("enabled", "maintenance")),
)


def upgrade() -> None:
    """Give hosts an administrative state, and keep in the other column only what their connections can be."""
    op.add_column("host", sa.Column("admin_state", sa.Text(), nullable=False, server_default="enabled"))
    _separate()
    for name in ("enabled", "maintenance"):
        op.drop_column("host", name)
    op.drop_index("ix_host_state", "host")
    for old, new in RENAMED:
        op.execute(f"ALTER TABLE host RENAME COLUMN {old} TO {new}")
    op.create_index("ix_host_connection", "host", ["connection"])


def downgrade() -> None:
    """Join both in one column. On SQLite the two flags keep defaults, which it cannot take away."""
    op.drop_index("ix_host_connection", "host")
    for old, new in RENAMED:
        op.execute(f"ALTER TABLE host RENAME COLUMN {new} TO {old}")
    op.create_index("ix_host_state", "host", ["state"])
    for name, default in (("enabled", sa.true()), ("maintenance", sa.false())):
        op.add_column("host", sa.Column(name, sa.Boolean(), nullable=False, server_default=default))
        if op.get_bind().dialect.name != "sqlite":
            op.alter_column("host", name, server_default=None)
    _join()
    op.drop_column("host", "admin_state")


def _separate() -> None:
    disabled, maintained = _host.c.enabled.is_(False), _host.c.state == "maintenance"
    op.execute(sa.update(_host).where(_host.c.maintenance).values(admin_state="maintenance"))
    op.execute(sa.update(_host).where(disabled).values(admin_state="disabled", state_reason=DISABLED))
    op.execute(sa.update(_host).where(disabled).values(state="not_answering"))
    op.execute(sa.update(_host).where(maintained).values(state="connected"))


def _join() -> None:
    disabled, maintenance = _host.c.admin_state == "disabled", _host.c.admin_state == "maintenance"
    op.execute(sa.update(_host).where(disabled).values(enabled=False, state="disabled", state_reason=None))
    op.execute(sa.update(_host).where(maintenance).values(maintenance=True))
    op.execute(sa.update(_host).where(maintenance, _host.c.state == "connected").values(state="maintenance"))
