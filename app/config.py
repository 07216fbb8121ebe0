"""Settings: each typed, defaulted and documented; from the environment (`VIGIE_…`) or a TOML file.

The environment wins over the file. A wrong value stops the start with the name of the setting; values of
secrets are never shown.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

_SERVER = re.compile(r"^((\*\.)?[a-z0-9_][a-z0-9_.-]*|\[[0-9a-f:.]+\])(:\d{1,5})?$")
_NAME = re.compile(r"^((\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+)$")
DEFAULT_FILE = Path("/etc/vigie/vigie.toml")


class SettingsError(Exception):
    """A setting is wrong or unknown; the text names it."""


class Settings(BaseSettings):
    """Everything that can be set. docs/settings.md is made from these descriptions."""

    model_config = SettingsConfigDict(env_prefix="VIGIE_", extra="forbid", frozen=True)

    data_dir: Annotated[
        Path, Field(description="Directory of the database, the task log and the key file.")
    ] = Path("~/.local/share/vigie")
    database_url: Annotated[
        SecretStr | None,
        Field(
            description="SQLAlchemy URL of the database: postgresql+psycopg://… or unset for SQLite in data_dir."
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        Field(
            description="File with the key that encrypts credentials; made on first start. Unset: data_dir/vigie.key."
        ),
    ] = None
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8600
    public_url: Annotated[
        str | None,
        Field(description="URL that browsers use, when a proxy stands in front: https://vigie.example.org"),
    ] = None
    allowed_hosts: Annotated[
        str,
        Field(
            description="Names by which the server may be called, by commas: name, or *.name (all below it). The host "
            "of `public_url`, the loopback and the address that a connection was made to always count."
        ),
    ] = ""
    proxy_addresses: Annotated[
        str,
        Field(
            description="Addresses of proxies whose X-Forwarded-* headers are believed, by commas. Unset: none; then "
            "everybody who comes through a proxy shares its address, also when guesses at passwords are limited."
        ),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="How much is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Field(description="Log lines for people or for machines.")
    ] = "text"
    lab: Annotated[bool, Field(description="Allow simulated hosts. For tests and benchmarks only.")] = False

    refresh_s: Annotated[
        PositiveFloat, Field(description="Seconds between two readings of a host's state and usage.")
    ] = 20.0
    resync_s: Annotated[
        PositiveFloat, Field(description="Seconds between two complete readings of a host.")
    ] = 900.0
    recheck_s: Annotated[
        PositiveFloat,
        Field(
            description="Least seconds between two looks for changes that hosts send no event for: networks, saved "
            "definitions of VMs, network filters; three times as long for volumes. Large fleets are looked "
            "at less often."
        ),
    ] = 15.0
    ping_s: Annotated[
        PositiveFloat, Field(description="Seconds between two signs of life asked of a host.")
    ] = 3.0
    call_deadline_s: Annotated[
        PositiveFloat,
        Field(description="Seconds after which a host that does not answer a call counts as hung."),
    ] = 5.0
    connect_deadline_s: Annotated[
        PositiveFloat, Field(description="Seconds to make a connection to a host.")
    ] = 10.0
    reconnect_max_s: Annotated[
        PositiveFloat, Field(description="Longest pause between two attempts to reach a lost host.")
    ] = 3.0
    workers: Annotated[PositiveInt, Field(description="Hosts that are read at the same time.")] = 32
    # libvirt serves five calls of a client at a time: the fifth is for a cancel.
    tasks_per_host: Annotated[
        int, Field(ge=1, le=4, description="Tasks that run on one host at the same time, at most 4.")
    ] = 4
    tasks_total: Annotated[PositiveInt, Field(description="Tasks that run at the same time.")] = 32

    session_idle_s: Annotated[
        PositiveInt, Field(description="Seconds without use after which a login ends.")
    ] = 8 * 3600
    session_max_s: Annotated[
        PositiveInt, Field(description="Seconds after which a login ends in any case.")
    ] = 7 * 86400
    login_attempts: Annotated[
        PositiveInt,
        Field(
            description="Failed logins allowed in five minutes from one address (of IPv6: one /64, and ten times as "
            "many from its /48), and from each browser that its user has signed in on before."
        ),
    ] = 10
    max_body_bytes: Annotated[PositiveInt, Field(description="Largest request body.")] = 1_048_576
    body_timeout_s: Annotated[
        PositiveInt, Field(description="Seconds within which the body of a request must have come.")
    ] = 30
    part_timeout_s: Annotated[
        PositiveInt, Field(description="Seconds within which a part of an upload (16 MiB) must have come.")
    ] = 300
    connections_total: Annotated[
        PositiveInt,
        Field(
            description="Connections that the server holds at the same time; fewer where the system allows less."
        ),
    ] = 4096
    connections_per_address: Annotated[
        PositiveInt,
        Field(
            description="Connections that one address (IPv6: one /64) may have open; those of `proxy_addresses` are "
            "not counted."
        ),
    ] = 512
    requests_per_address: Annotated[
        PositiveInt,
        Field(
            description="Requests of one address (IPv6: one /64) that are under way before it is known who sends them."
        ),
    ] = 64
    requests_per_user: Annotated[
        PositiveInt, Field(description="Requests of one user that are under way at the same time.")
    ] = 256
    streams_per_address: Annotated[
        PositiveInt,
        Field(description="Live pages, event streams and consoles that one address may have open."),
    ] = 256
    streams_per_user: Annotated[
        PositiveInt, Field(description="Live pages, event streams and consoles that one user may have open.")
    ] = 64
    event_days: Annotated[
        PositiveInt, Field(description="Days for which events, tasks and their logs are kept.")
    ] = 90
    audit_days: Annotated[PositiveInt, Field(description="Days for which audit entries are kept.")] = 730

    deleted_vm_days: Annotated[
        PositiveInt, Field(description="Days for which deleted VMs can be undeleted, without their disks.")
    ] = 30

    pool_directories: Annotated[
        str,
        Field(
            description="Directories of hosts in which new storage pools may lie, by commas. Directories of the host's system "
            "are refused in any case; pools that are found on a host stay usable wherever they are."
        ),
    ] = "/var/lib/libvirt/images,/var/lib/vz,/srv,/mnt,/media,/data,/storage,/export,/images,/iso,/vm,/vms,/kvm,/tank"
    libvirt_sockets: Annotated[
        str,
        Field(
            description="Sockets of libvirt on hosts that Vigie may connect to, by commas, for local hosts and over "
            "SSH. /var/run is the same as /run."
        ),
    ] = "/run/libvirt/libvirt-sock,/run/libvirt/virtqemud-sock"

    import_from: Annotated[
        str,
        Field(
            description="Servers from which images may be imported, by commas: name, *.name (all below it), each "
            "with :port or without. Unset: none."
        ),
    ] = ""
    import_private: Annotated[
        bool, Field(description="Those servers may have addresses of private networks, or of this machine.")
    ] = False
    import_ca_file: Annotated[
        Path | None, Field(description="CA certificates believed of those servers, beside the system's.")
    ] = None
    import_max_bytes: Annotated[PositiveInt, Field(description="Largest file that is imported.")] = (
        64 * 1024**3
    )
    import_timeout_s: Annotated[PositiveInt, Field(description="Longest time an import may take.")] = 6 * 3600

    @field_validator("import_from")
    @classmethod
    def _known_servers(cls, value: str) -> str:
        entries = [entry.strip().lower() for entry in value.split(",") if entry.strip()]
        for entry in entries:
            if not _SERVER.match(entry):
                raise ValueError(f"{entry!r} is no server: write name, *.name or name:port")
        return ",".join(entries)

    @field_validator("pool_directories", "libvirt_sockets")
    @classmethod
    def _known_paths(cls, value: str) -> str:
        entries = [entry.strip() for entry in value.split(",") if entry.strip()]
        for entry in entries:
            if not entry.startswith("/") or ".." in entry.split("/"):
                raise ValueError(f"{entry!r} is no absolute path without ..")
        return ",".join("/" + "/".join(filter(None, entry.split("/"))) for entry in entries)

    @field_validator("allowed_hosts")
    @classmethod
    def _known_hosts(cls, value: str) -> str:
        entries = [
            entry.strip().lower().strip("[]").rstrip(".") for entry in value.split(",") if entry.strip()
        ]
        for entry in entries:
            if not _NAME.match(entry):
                raise ValueError(
                    f"{entry!r} is no name: write name, *.name or an address, without scheme and port"
                )
        return ",".join(entries)

    @field_validator("data_dir", "key_file", "import_ca_file")
    @classmethod
    def _expand(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.rstrip("/")
        if not value.startswith(("https://", "http://")) or value.count("/") != 2:
            raise ValueError("must be scheme://host[:port] without a path")
        return value

    @cached_property
    def import_servers(self) -> frozenset[str]:
        """The entries of `import_from`."""
        return frozenset(filter(None, self.import_from.split(",")))

    @cached_property
    def pool_roots(self) -> tuple[str, ...]:
        """The entries of `pool_directories`."""
        return tuple(self.pool_directories.split(",")) if self.pool_directories else ()

    @cached_property
    def sockets(self) -> tuple[str, ...]:
        """The entries of `libvirt_sockets`."""
        return tuple(self.libvirt_sockets.split(",")) if self.libvirt_sockets else ()

    @cached_property
    def allowed_host_names(self) -> frozenset[str]:
        """The entries of `allowed_hosts`, in lower case."""
        return frozenset(filter(None, self.allowed_hosts.split(",")))

    @cached_property
    def database(self) -> str:
        """SQLAlchemy URL of the database."""
        if self.database_url:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'vigie.db'}"

    @cached_property
    def task_database(self) -> str:
        """SQLAlchemy URL of the task log: a SQLite file of its own, or the database when that is PostgreSQL."""
        if self.database.startswith("postgresql"):
            return self.database
        return f"sqlite:///{self.data_dir / 'tasks.db'}"

    @property
    def epoch_path(self) -> Path:
        """File that tells a restored database from the one that was worked on (see db.epoch)."""
        return self.data_dir / "epoch"

    @cached_property
    def key_path(self) -> Path:
        """File of the key that encrypts credentials."""
        return self.key_file or self.data_dir / "vigie.key"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the file named by VIGIE_CONFIG (or /etc/vigie/vigie.toml)."""
        named = os.environ.get("VIGIE_CONFIG")
        file = Path(named) if named else DEFAULT_FILE
        if named and not file.is_file():
            raise SettingsError(f"VIGIE_CONFIG names {file}, which is not a file.")
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, file)) if file.is_file() else sources


# Read by the program itself, not settings of the server.
OTHER_VARIABLES = frozenset({"VIGIE_CONFIG", "VIGIE_LAB_RANGE"})


def load_settings(**overrides: object) -> Settings:
    """Read all settings. Raises SettingsError naming every one that is wrong, unknown ones included."""
    known = {f"VIGIE_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith("VIGIE_") and name not in known)
    if unknown:
        raise SettingsError(f"Unknown setting: {', '.join(unknown)}. docs/settings.md lists them all.")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"VIGIE_{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors()]
        raise SettingsError("Wrong setting: " + "; ".join(lines)) from None
