"""What to connect to and with which secret. Secrets never show in a repr, a log or an error."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.hosts.endpoints import Endpoint


@dataclass(frozen=True, slots=True)
class SshKey:
    """A private key in OpenSSH or PEM form, and its passphrase if it has one."""

    private_key: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SshPassword:
    """A password for the SSH login."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """PEM texts: the authority that signed the hosts' certificates, and Vigie's own certificate and key."""

    ca_certificate: str = field(repr=False)
    certificate: str = field(repr=False)
    private_key: str = field(repr=False)


Secret = SshKey | SshPassword | TlsIdentity


@dataclass(frozen=True, slots=True)
class Target:
    """A host to connect to.

    `fingerprint` is the confirmed identity: `SHA256:…` of the SSH host key as OpenSSH prints it, or of the
    TLS server certificate in the same form; None for local and simulated hosts, which have none.
    """

    endpoint: Endpoint
    secret: Secret | None = None
    fingerprint: str | None = None
