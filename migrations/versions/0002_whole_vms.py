"""Virtual machines whole: definitions with history, consoles, images, uploads, what hosts offer."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables and columns; what is new in old rows is NULL until their hosts are read again."""
    op.create_table(
        "history",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("object_kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.String(length=24), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=True),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("task_id", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_history_object_id_id", "history", ["object_id", "id"], unique=False)
    op.create_table(
        "image",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("virtual_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("os_id", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
        sa.UniqueConstraint("name_key", name=op.f("uq_image_name_key")),
    )
    op.create_table(
        "saved_spec",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_spec")),
        sa.UniqueConstraint("name_key", name=op.f("uq_saved_spec_name_key")),
    )
    op.create_table(
        "image_copy",
        sa.Column("image_id", sa.String(length=24), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("pool_uuid", sa.String(length=36), nullable=False),
        sa.Column("volume_name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_image_copy_host_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name=op.f("fk_image_copy_image_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "host_id", "pool_uuid", name=op.f("pk_image_copy")),
    )
    op.create_index(op.f("ix_image_copy_host_id"), "image_copy", ["host_id"], unique=False)
    op.create_table(
        "offers",
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("offers", sa.JSON(), nullable=False),
        sa.Column("devices", sa.JSON(), nullable=True),
        sa.Column("devices_read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_offers_host_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_offers")),
    )
    op.create_table(
        "traffic_filter",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_traffic_filter_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traffic_filter")),
        sa.UniqueConstraint("host_id", "uuid", name=op.f("uq_traffic_filter_host_id_uuid")),
    )
    op.create_index(op.f("ix_traffic_filter_host_id"), "traffic_filter", ["host_id"], unique=False)
    op.create_table(
        "console",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("vm_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("view_only", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("remote", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["vm_id"], ["vm.id"], name=op.f("fk_console_vm_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console")),
    )
    op.create_index(op.f("ix_console_vm_id"), "console", ["vm_id"], unique=False)
    op.create_table(
        "console_ticket",
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("vm_id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("view_only", sa.Boolean(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("login_id", sa.String(length=24), nullable=True),
        sa.Column("token_id", sa.String(length=24), nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_console_ticket_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["vm_id"], ["vm.id"], name=op.f("fk_console_ticket_vm_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("secret_sha256", name=op.f("pk_console_ticket")),
    )
    op.create_index(op.f("ix_console_ticket_expires_at"), "console_ticket", ["expires_at"], unique=False)
    op.create_index(op.f("ix_console_ticket_vm_id"), "console_ticket", ["vm_id"], unique=False)
    op.create_table(
        "removed_vm",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host_id", sa.String(length=24), nullable=False),
        sa.Column("xml", sa.Text(), nullable=False),
        sa.Column("autostart", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("volumes", sa.JSON(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_removed_vm_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removed_vm")),
    )
    op.create_index(op.f("ix_removed_vm_host_id"), "removed_vm", ["host_id"], unique=False)
    op.create_index(op.f("ix_removed_vm_removed_at"), "removed_vm", ["removed_at"], unique=False)
    op.create_index(op.f("ix_removed_vm_uuid"), "removed_vm", ["uuid"], unique=False)
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("pool_id", sa.String(length=24), nullable=False),
        sa.Column("volume_name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("offset_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("image", sa.JSON(), nullable=True),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_upload_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_pool_id"), "upload", ["pool_id"], unique=False)
    op.create_index(op.f("ix_upload_updated_at"), "upload", ["updated_at"], unique=False)
    op.add_column("network", sa.Column("xml", sa.Text(), nullable=True))
    op.add_column("network", sa.Column("live_xml", sa.Text(), nullable=True))
    op.add_column("network", sa.Column("mtu", sa.BigInteger(), nullable=True))
    op.add_column("network", sa.Column("vlan", sa.Text(), nullable=True))
    op.add_column("network", sa.Column("leases", sa.JSON(), nullable=True))
    op.add_column("network", sa.Column("leases_read_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("pool", sa.Column("xml", sa.Text(), nullable=True))
    op.add_column("pool", sa.Column("shared_mark", sa.Text(), nullable=True))
    op.add_column("pool", sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("task", sa.Column("made", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(
        "ix_task_made",
        "task",
        ["id"],
        unique=False,
        sqlite_where=sa.text("made IS NOT NULL"),
        postgresql_where=sa.text("made IS NOT NULL"),
    )
    op.add_column("vm", sa.Column("pending", sa.Boolean(), nullable=True))
    op.add_column("vm", sa.Column("dangers", sa.JSON(), nullable=True))
    op.add_column("vm_definition", sa.Column("saved_digest", sa.Text(), nullable=True))
    op.add_column("vm_definition", sa.Column("saved_xml", sa.Text(), nullable=True))
    op.add_column("vm_definition", sa.Column("saved_parsed", sa.JSON(), nullable=True))
    op.add_column("vm_definition", sa.Column("pending", sa.JSON(), nullable=True))
