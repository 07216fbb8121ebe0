"""Parameters of tasks have versions, tasks reserve on several hosts, and claim the ids of what they create."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Kinds of tasks, and actions of the audit, that are called otherwise, in the order in which they can be renamed.
RENAMED = (
    ("vm.change", "vm.reconfigure"),
    ("vm.bring_back", "vm.undelete"),
    ("pool.prove", "pool.verify-shared"),
    ("image.import", "image.register"),
    ("image.download", "image.import"),
)
# Titles that changed with them.
TITLES = {"Import the image": "Register the image", "Fetch the image": "Import the image"}


def upgrade() -> None:
    """Claims of tasks are made from their parameters; kept rows get the new names of kinds."""
    # Not in a batch: SQLite would make the table anew, and locks and reservations would go with the old one.
    op.add_column("task", sa.Column("params_version", sa.Integer(), nullable=False, server_default="1"))
    _key_reservations("task_id", "host_id")
    op.create_table(
        "identity_claim",
        sa.Column("task_id", sa.String(24), nullable=False),
        sa.Column("object_id", sa.String(24), nullable=False),
        sa.Column("host_id", sa.String(24), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "object_id"),
    )
    op.create_index("ix_identity_claim_host_id_uuid", "identity_claim", ["host_id", "uuid"])
    op.create_index("ix_identity_claim_object_id", "identity_claim", ["object_id"])
    _claim()
    _rename(RENAMED, TITLES)


def downgrade() -> None:
    """Forget claims; of the reservations of a task, one host's is kept."""
    _rename(*renamed_back())
    op.drop_table("identity_claim")
    _key_reservations("task_id")
    op.drop_column("task", "params_version")


def renamed_back() -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
    """What gives kinds and titles their old names."""
    kinds = tuple((new, old) for old, new in reversed(RENAMED))
    return kinds, {new: old for old, new in reversed(TITLES.items())}


def _key_reservations(*key: str) -> None:
    """Make the table anew with this key: SQLite cannot change one."""
    connection = op.get_bind()
    old = sa.table("reservation", *map(sa.column, ("task_id", "host_id", "memory_bytes")))
    rows = {tuple(getattr(row, name) for name in key): row for row in connection.execute(sa.select(old))}
    op.drop_table("reservation")
    made = op.create_table(
        "reservation",
        sa.Column("task_id", sa.String(24), nullable=False),
        sa.Column("host_id", sa.String(24), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint(*key),
    )
    op.create_index("ix_reservation_host_id", "reservation", ["host_id"])
    if rows:
        connection.execute(sa.insert(made), [dict(row._mapping) for row in rows.values()])


def _claim() -> None:
    connection = op.get_bind()
    task = sa.table(
        "task", *map(sa.column, ("id", "kind", "target_id", "host_id")), sa.column("params", sa.JSON)
    )
    claim = sa.table("identity_claim", *map(sa.column, ("task_id", "object_id", "host_id", "uuid")))
    kinds = ("vm.create", "vm.bring_back", "network.create", "filter.create")
    rows = [
        {"task_id": row.id, "object_id": row.target_id, "host_id": row.host_id, "uuid": uuid}
        for row in connection.execute(sa.select(task).where(task.c.kind.in_(kinds)))
        if row.target_id and row.host_id and (uuid := _uuid(row.params or {}))
    ]
    if rows:
        connection.execute(sa.insert(claim), rows)


def _uuid(params: dict[str, object]) -> object:
    blueprint = params.get("blueprint")
    return blueprint.get("uuid") if isinstance(blueprint, dict) else params.get("uuid")


def _rename(kinds: tuple[tuple[str, str], ...], titles: dict[str, str]) -> None:
    connection = op.get_bind()
    for table, column, names in (
        ("task", "kind", kinds),
        ("task", "title", tuple(titles.items())),
        ("audit", "action", kinds),
    ):
        named = sa.table(table, sa.column(column))
        for old, new in names:
            connection.execute(sa.update(named).where(named.c[column] == old).values({column: new}))
