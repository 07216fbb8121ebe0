"""Parameters of tasks have versions, tasks reserve on several hosts, and claim the ids of what they create."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Kinds of tasks that are called otherwise, and their titles, in the order in which they can be renamed.
RENAMED = (
    (("image.import", "Import the image"), ("image.register", "Register the image")),
    (("image.download", "Fetch the image"), ("image.import", "Import the image")),
)


# Kinds of tasks, and actions of the audit, that have other names from now on.
KINDS = {
    "vm.change": "vm.reconfigure",
    "vm.bring_back": "vm.undelete",
    "pool.prove": "pool.verify-shared",
}


def upgrade() -> None:
    """Claims of tasks are made from their parameters; kept rows get the new names of kinds."""
    with op.batch_alter_table("task") as table:
        table.add_column(sa.Column("params_version", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("task") as table:
        table.alter_column("params_version", server_default=None)
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
    _rename(KINDS)


def downgrade() -> None:
    """Forget claims; of the reservations of a task, one host's is kept."""
    _rename({new: old for old, new in KINDS.items()})
    for before, after in reversed(RENAMED):
        _rename(after, before)
    op.drop_table("identity_claim")
    _key_reservations("task_id")
    with op.batch_alter_table("task") as table:
        table.drop_column("params_version")


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


def _rename(before: tuple[str, str], after: tuple[str, str]) -> None:
    task = sa.table("task", sa.column("kind"), sa.column("title"))
    of_kind = sa.update(task).where(task.c.kind == before[0])
    op.get_bind().execute(of_kind.values(kind=after[0], title=after[1]))


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


def _rename(kinds: dict[str, str]) -> None:
    connection = op.get_bind()
    for table, column in (("task", "kind"), ("audit", "action")):
        named = sa.table(table, sa.column(column))
        for old, new in kinds.items():
            connection.execute(sa.update(named).where(named.c[column] == old).values({column: new}))
