"""The opened secrets of credentials, for connections to hosts. They are read only to be used at once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.access.vault import Vault
from app.core.hosts.endpoints import Endpoint
from app.core.hosts.states import Transport
from app.db.models import Credential
from app.db.models import Host as HostRow
from app.hypervisor.transport.targets import Secret, SshKey, SshPassword, Target, TlsIdentity


def make_secret(kind: str, fields: dict[str, str]) -> Secret:
    """The secret that these fields of a credential are."""
    if kind == "ssh_key":
        return SshKey(fields["private_key"], fields.get("passphrase"))
    if kind == "ssh_password":
        return SshPassword(fields["password"])
    return TlsIdentity(fields["ca_certificate"], fields["certificate"], fields["private_key"])


def secret_of(session: Session, vault: Vault, credential_id: str | None) -> Secret | None:
    """Open the secret of a credential; None when there is none. Raises Unavailable when no key fits."""
    row = session.get(Credential, credential_id) if credential_id else None
    return None if row is None else make_secret(row.kind, vault.open(row.sealed))


def target_of(session: Session, vault: Vault, host: HostRow, *, loopback: bool) -> Target:
    """What to connect to for a registered host; `loopback` allows addresses of this machine."""
    endpoint = Endpoint(Transport(host.transport), host.address, host.port, host.user, host.socket, loopback)
    return Target(endpoint, secret_of(session, vault, host.credential_id), host.fingerprint)
