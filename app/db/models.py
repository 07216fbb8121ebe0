"""The tables. What hosts say is mirrored here; what people own (tree, tags, notes, tasks, audit) lives here.

The rows that lists are made of (`host`, `vm`) are kept narrow: definitions and pictures have tables of their
own. Text that lists search is folded into `search_text` (lower case) when the row is written.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What values of this type are; SQLAlchemy says `object` for a type of one's own."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        str: Text,
        int: BigInteger,
        bool: Boolean,
        float: Float,
        bytes: LargeBinary,
    }


Id = String(24)


class User(Base):
    """A person who may sign in. `name_key` is the case-folded name."""

    __tablename__ = "user_account"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    display: Mapped[str]
    password_hash: Mapped[str | None]
    role: Mapped[str]
    language: Mapped[str | None]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class Login(Base):
    """A login session. `id` is public; the cookie's secret is kept only as its SHA-256."""

    __tablename__ = "login"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    remote: Mapped[str | None]
    user_agent: Mapped[str | None]


class Token(Base):
    """An API token, kept only as its SHA-256."""

    __tablename__ = "token"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Credential(Base):
    """How Vigie signs in to hosts. `sealed` is the encrypted secret; `summary` its public part."""

    __tablename__ = "credential"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    summary: Mapped[str]
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Datacenter(Base):
    """The top of the tree."""

    __tablename__ = "datacenter"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Usage:
    """Columns of the last usage reading (see core.views.Usage)."""

    cpu_percent: Mapped[float | None]
    memory_used_bytes: Mapped[int | None]
    memory_total_bytes: Mapped[int | None]
    disk_read_bps: Mapped[float | None]
    disk_write_bps: Mapped[float | None]
    disk_iops: Mapped[float | None]
    net_rx_bps: Mapped[float | None]
    net_tx_bps: Mapped[float | None]


class Host(Usage, Base):
    """A registered host: where it is, what it is, how it was last seen.

    `state_reason` is an English message id with `state_params`; `config_version` grows when the connection must
    be made anew (address, credential, identity, enabled).
    """

    __tablename__ = "host"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    datacenter_id: Mapped[str] = mapped_column(ForeignKey("datacenter.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    transport: Mapped[str]
    address: Mapped[str]
    port: Mapped[int]
    user: Mapped[str]
    socket: Mapped[str]
    credential_id: Mapped[str | None] = mapped_column(ForeignKey("credential.id"), index=True)
    mode: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    maintenance: Mapped[bool] = mapped_column(default=False)
    fingerprint: Mapped[str | None]
    fingerprint_seen: Mapped[str | None]
    libvirt_uuid: Mapped[str | None] = mapped_column(unique=True)
    config_version: Mapped[int] = mapped_column(default=1)

    state: Mapped[str] = mapped_column(index=True)
    state_reason: Mapped[str | None]
    state_params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state_since: Mapped[datetime | None]
    observed_at: Mapped[datetime | None]  # last answer
    synced_at: Mapped[datetime | None]  # last complete reading

    hostname: Mapped[str | None]
    libvirt_version: Mapped[str | None]
    hypervisor_version: Mapped[str | None]
    cpu_model: Mapped[str | None]
    cpus: Mapped[int | None]
    memory_bytes: Mapped[int | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.views.HostFacts
    checks: Mapped[list[Any]] = mapped_column(default=list)  # core.views.Check
    worst_check: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    vm_count: Mapped[int] = mapped_column(default=0)
    vm_running: Mapped[int] = mapped_column(default=0)

    tags: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Vm(Usage, Base):
    """A VM as last seen. It stays when its host is silent, and turns `missing` when a complete listing lacks it.

    `host_id` follows the VM when it migrates. `seen_at` is set while the VM is not in its host's listings
    (else the host's own `observed_at` counts). `duplicate`: another host has the same UUID at the same time.
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
    seen_at: Mapped[datetime | None]
    vcpus: Mapped[int] = mapped_column(Integer, default=0)
    memory_bytes: Mapped[int] = mapped_column(default=0)
    disk_bytes: Mapped[int | None]
    os_name: Mapped[str | None]
    guest_hostname: Mapped[str | None]
    agent_connected: Mapped[bool] = mapped_column(default=False)
    addresses: Mapped[list[Any]] = mapped_column(default=list)  # [mac or "", address]
    tags: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class VmDefinition(Base):
    """A VM's XML as last read, and what was read from it (core.views.VmDefinition without `xml`)."""

    __tablename__ = "vm_definition"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str]
    xml: Mapped[str]
    parsed: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]


class VmScreen(Base):
    """The last screenshot of a running VM, scaled down."""

    __tablename__ = "vm_screen"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[bytes]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    taken_at: Mapped[datetime]


class Tag(Base):
    """Tags of hosts and VMs, for filters; the rows themselves carry a copy to show."""

    __tablename__ = "tag"

    object_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True, index=True)


class Pool(Base):
    """A storage pool of a host. `seen_at` as with VMs."""

    __tablename__ = "pool"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_pool_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    available_bytes: Mapped[int]
    target_path: Mapped[str | None]
    volume_count: Mapped[int] = mapped_column(default=0)
    volumes_read_at: Mapped[datetime | None]


class Volume(Base):
    """A volume of a pool."""

    __tablename__ = "volume"
    __table_args__ = (UniqueConstraint("pool_id", "name"), Index("ix_volume_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    name: Mapped[str]
    path: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    format: Mapped[str | None]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    backing_path: Mapped[str | None]


class Network(Base):
    """A virtual network of a host."""

    __tablename__ = "network"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_network_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    active: Mapped[bool]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    bridge: Mapped[str | None]
    forward_mode: Mapped[str]
    addresses: Mapped[list[Any]] = mapped_column(default=list)
    dhcp: Mapped[bool] = mapped_column(default=False)


class Task(Base):
    """Work that was asked for. `lock` names what it holds; at most one active task may hold a thing.

    The row is the outbox: written in the transaction of the request, taken up by the engine after commit.
    """

    __tablename__ = "task"
    __table_args__ = (
        Index(
            "uq_task_active_lock",
            "lock",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running', 'cancelling')"),
            postgresql_where=text("state IN ('queued', 'running', 'cancelling')"),
        ),
        Index("ix_task_created_at_id", "created_at", "id"),
        Index("ix_task_state_created_at", "state", "created_at"),
        Index("ix_task_target_id_created_at", "target_id", "created_at"),
        Index("ix_task_host_id_created_at", "host_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str]  # vm.start, vm.shutdown, …
    title: Mapped[str]  # message id
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str]
    progress: Mapped[int | None] = mapped_column(Integer)  # percent; None while nobody can tell
    message: Mapped[str | None]  # message id
    message_params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    lock: Mapped[str | None]
    target_kind: Mapped[str | None]
    target_id: Mapped[str | None] = mapped_column(Id)
    target_name: Mapped[str | None]
    host_id: Mapped[str | None] = mapped_column(Id)
    host_name: Mapped[str | None]
    actor_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str]
    batch_id: Mapped[str | None] = mapped_column(Id, index=True)
    cancellable: Mapped[bool] = mapped_column(default=False)
    sent_at: Mapped[datetime | None]  # a step that must not be repeated was sent to the host
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]  # code, title, why, hint (message ids), params, detail, next_verb


class IdempotencyKey(Base):
    """A request that was answered once; the same key gives the same answer."""

    __tablename__ = "idempotency_key"

    user_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Event(Base):
    """Something that happened. `message` is a message id with `params`."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_object_id_id", "object_id", "id"),
        Index("ix_event_host_id_id", "host_id", "id"),
        Index("ix_event_at", "at"),
        {"sqlite_autoincrement": True},  # ids are never used again: streams resume by them
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    kind: Mapped[str]
    severity: Mapped[str]
    message: Mapped[str]
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    object_kind: Mapped[str | None]
    object_id: Mapped[str | None] = mapped_column(Id)
    object_name: Mapped[str | None]
    host_id: Mapped[str | None] = mapped_column(Id)
    host_name: Mapped[str | None]
    task_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str | None]


class Audit(Base):
    """Who asked for what, and how it ended. Never holds secrets."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_at", "at"),
        Index("ix_audit_object_id_id", "object_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    actor_id: Mapped[str | None] = mapped_column(Id)
    actor_name: Mapped[str]
    via: Mapped[str]
    action: Mapped[str]
    object_kind: Mapped[str | None]
    object_id: Mapped[str | None] = mapped_column(Id)
    object_name: Mapped[str | None]
    outcome: Mapped[str]
    code: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    remote: Mapped[str | None]
