"""What VMs may be plugged into on a host; whole definitions of deleted VMs and presets, sealed; cloud-init seeds."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what VMs may be plugged into on a host, and the whole definitions of deleted VMs, sealed."""
    for name in ("allowed_bridges", "allowed_interfaces"):
        op.add_column("host", sa.Column(name, sa.JSON(), nullable=True))
    op.add_column("removed_vm", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("saved_spec", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.create_table(
        "cloud_init_seed",
        sa.Column("vm_id", sa.String(length=24), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("pool_uuid", sa.String(length=36), nullable=False),
        sa.Column("volume_name", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("keep", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_cloud_init_seed_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("vm_id", name=op.f("pk_cloud_init_seed")),
    )
    op.create_index(op.f("ix_cloud_init_seed_host_id"), "cloud_init_seed", ["host_id"])
    _note_seeds()
    _forget_pasted_xml()


def _note_seeds() -> None:
    """Seeds of VMs that are there already are held back, too; they stay in their drives, as their guests know them."""
    task = sa.table(
        "task",
        *map(sa.column, ("target_id", "kind", "state", "host_id")),
        sa.column("params", sa.JSON),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    vm = sa.table("vm", sa.column("id"), sa.column("host_id"))
    seed = sa.table(
        "cloud_init_seed",
        *map(sa.column, ("vm_id", "host_id", "pool_uuid", "volume_name", "target", "keep")),
        sa.column("created_at", sa.DateTime(timezone=True)),
    )
    connection = op.get_bind()
    query = sa.select(task.c.target_id, task.c.host_id, task.c.params, task.c.created_at)
    query = query.join(vm, sa.and_(vm.c.id == task.c.target_id, vm.c.host_id == task.c.host_id))
    for row in connection.execute(query.where(task.c.kind == "vm.create", task.c.state == "succeeded")).all():
        place = _seed_in(row.params)
        if place is not None:
            values = {"vm_id": row.target_id, "host_id": row.host_id, "keep": True} | place
            connection.execute(sa.insert(seed).values(**values, created_at=row.created_at))


def _seed_in(params: Any) -> dict[str, str] | None:
    """Where a task put the seed that it made; None when it made none, or says so in a way that nobody knows now."""
    try:
        drive = params["blueprint"]["disks"][-1] if params["seed"] else None
        place = {
            "pool_uuid": drive["new"]["pool"],
            "volume_name": drive["new"]["name"],
            "target": drive["target"],
        }
    except (KeyError, IndexError, TypeError):
        return None
    return place if all(isinstance(each, str) for each in place.values()) else None


def _forget_pasted_xml() -> None:
    """Ended tasks keep no XML that somebody pasted: it may hold passwords."""
    task = sa.table(
        "task", sa.column("id"), sa.column("kind"), sa.column("state"), sa.column("params", sa.JSON)
    )
    ended = ("succeeded", "failed", "cancelled")
    connection = op.get_bind()
    query = sa.select(task.c.id, task.c.params).where(task.c.kind == "vm.define", task.c.state.in_(ended))
    for row in connection.execute(query).all():
        kept = {name: value for name, value in (row.params or {}).items() if name != "xml"}
        connection.execute(sa.update(task).where(task.c.id == row.id).values(params=kept))
