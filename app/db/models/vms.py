"""VMs, their definitions, presets and cloud-init drives."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.core.vms.observations import StoredDefinition
from app.db.models.base import Base, Id
from app.db.models.usage import Usage


class Vm(Usage, Base):
    """A VM as last seen. It stays when its host is silent, and turns `missing` when a complete listing lacks it.

    `host_id` follows the VM when it migrates. `missing_since` is set while the VM is not in its host's listings
    (else the host's own `observed_at` counts). `duplicate`: another host runs the same VM at the same time.
    """

    __tablename__ = "vm"
    __table_args__ = (
        UniqueConstraint("host_id", "uuid"),
        Index("ix_vm_host_id_name_key", "host_id", "name_key", "id"),
        Index("ix_vm_name_key_id", "name_key", "id"),
        Index("ix_vm_state_name_key", "state", "name_key", "id"),
        Index("ix_vm_cpu_percent_id", "cpu_percent", "id"),
        Index("ix_vm_memory_bytes_id", "memory_bytes", "id"),
        Index("ix_vm_vcpus_id", "vcpus", "id"),
        Index("ix_vm_state_vcpus_memory_bytes", "state", "vcpus", "memory_bytes"),  # sums of the dashboard
        Index(
            "ix_vm_duplicate",
            "duplicate",
            sqlite_where=text("duplicate IS 1"),
            postgresql_where=text("duplicate IS TRUE"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"))
    uuid: Mapped[str] = mapped_column(String(36), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    title: Mapped[str | None]
    state: Mapped[str]
    state_reason: Mapped[str | None]
    state_since: Mapped[datetime | None]
    domain_id: Mapped[int | None]
    persistent: Mapped[bool]
    autostart: Mapped[bool]
    has_managed_save: Mapped[bool] = mapped_column(default=False)
    duplicate: Mapped[bool] = mapped_column(default=False)
    missing_since: Mapped[datetime | None]
    vcpus: Mapped[int] = mapped_column(Integer, default=0)
    memory_bytes: Mapped[int] = mapped_column(default=0)
    disk_bytes: Mapped[int | None]
    os_name: Mapped[str | None]
    guest_hostname: Mapped[str | None]
    agent_connected: Mapped[bool] = mapped_column(default=False)
    addresses: Mapped[list[list[str]]] = mapped_column(default=list)  # [mac or "", address]
    pending: Mapped[bool | None]  # changes wait for its next power-off
    host_access: Mapped[list[str] | None]  # keys of core.vms.host_access found in its definition
    tags: Mapped[list[str]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class VmDefinition(Base):
    """A VM's XML as last read, and what was read from it (core.vms.observations.DefinitionObservation without `xml`).

    `saved_xml` is what the VM will be after its next power-off, read while it runs; None when it is off or
    transient. `pending` names the parts in which the two differ (message ids).
    """

    __tablename__ = "vm_definition"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str]
    xml: Mapped[str]
    parsed: Mapped[StoredDefinition] = mapped_column(JSON)
    read_at: Mapped[datetime]
    saved_digest: Mapped[str | None]
    saved_xml: Mapped[str | None]
    saved_parsed: Mapped[StoredDefinition | None] = mapped_column(JSON)
    pending: Mapped[list[str] | None]


class VmScreenshot(Base):
    """The last screenshot of a running VM, scaled down."""

    __tablename__ = "vm_screenshot"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[bytes]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    taken_at: Mapped[datetime]


class DeletedVm(Base):
    """A VM that was deleted by Vigie: its definition stays until the settings no longer want it."""

    __tablename__ = "deleted_vm"

    id: Mapped[str] = mapped_column(Id, primary_key=True)  # the one it had
    name: Mapped[str]
    uuid: Mapped[str] = mapped_column(String(36), index=True)
    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), index=True)
    xml: Mapped[str]  # without secrets
    sealed: Mapped[
        bytes | None
    ]  # the definition with the passwords of its displays, sealed with the key file
    autostart: Mapped[bool]
    tags: Mapped[list[str]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    volumes: Mapped[list[str]] = mapped_column(default=list)  # paths of those that were deleted with it
    deleted_at: Mapped[datetime] = mapped_column(index=True)
    deleted_by: Mapped[str]


class VmPreset(Base):
    """A VM specification that was kept under a name."""

    __tablename__ = "vm_preset"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[dict[str, object]]  # without passwords and user_data
    sealed: Mapped[bytes | None]  # its user_data, sealed with the key file
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)


class CloudInitDrive(Base):
    """The medium with which a VM is set up at its first boot. `vm_id` is set before the VM is made."""

    __tablename__ = "cloud_init_drive"

    vm_id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), index=True)
    pool_uuid: Mapped[str] = mapped_column(String(36))
    volume_name: Mapped[str]
    target: Mapped[str]  # its drive
    keep: Mapped[bool]
    created_at: Mapped[datetime]
    booted_at: Mapped[datetime | None]  # when the VM was first seen running
    tried_at: Mapped[datetime | None]  # when its removal was last asked for


class ConsoleTicket(Base):
    """A right to open one console once, soon; kept only as its SHA-256.

    Bound to who asked: the login of a browser, or the token of a program; and to the origin of the page that
    asked, if one did.
    """

    __tablename__ = "console_ticket"

    secret_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]  # vnc, serial, spice
    view_only: Mapped[bool]
    force: Mapped[bool]
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("user_account.id", ondelete="CASCADE"))
    login_id: Mapped[str | None] = mapped_column(Id)
    token_id: Mapped[str | None] = mapped_column(Id)
    origin: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Console(Base):
    """A console that is open now, in the web process of one replica (access.replicas).

    Rows of a replica that ended are removed by the next start.
    """

    __tablename__ = "console"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    view_only: Mapped[bool]
    user_id: Mapped[str] = mapped_column(Id)
    user_name: Mapped[str]
    remote: Mapped[str | None]
    replica_id: Mapped[str]
    opened_at: Mapped[datetime]
