"""Make a lab known to a Vigie server, by its command line and its REST API, as a person would."""

import base64
import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.rest import Rest
from app.lab.server import Server


def make_administrator(server: Server, name: str, password: str) -> str:
    """Make an administrator and a token for it; return the token. The server need not run."""
    server.vigie("user", "add", name, "--role", "administrator", "--password-stdin", given=f"{password}\n")
    answer = json.loads(server.vigie("token", "create", "demo", "--user", name, "--json"))
    return str(answer["token"])


def register_hosts(rest: Rest, lab: Lab) -> list[str]:
    """Register every host: two by SSH, then one by TLS, and so on. Returns their ids.

    Each is registered with the identity that the lab gave it; a host that shows another is refused.
    """
    ssh = rest.call("POST", "/credentials", _ssh_credential(lab))["id"]
    tls = rest.call("POST", "/credentials", _tls_credential(lab))["id"]
    return [register_host(rest, host, tls if by_tls(host) else ssh) for host in lab.hosts]


def register_host(rest: Rest, host: LabHost, credential_id: str) -> str:
    """Register one host and return its id. Raises LabError when it shows another identity than its own."""
    if by_tls(host):
        where: dict[str, object] = {"transport": "tls", "port": host.tls_port}
        fingerprint = tls_fingerprint(host)
    else:
        where = {"transport": "ssh", "port": host.ssh_port, "user": host.ssh_user}
        fingerprint = ssh_fingerprint(host)
    requested = {"name": host.name, "address": host.address, "credential_id": credential_id, **where}
    return str(rest.call("POST", "/hosts", {**requested, "fingerprint": fingerprint})["id"])


def by_tls(host: LabHost) -> bool:
    """Whether the host is registered by TLS: every third is."""
    return host.host.number % 3 == 0


def ssh_fingerprint(host: LabHost) -> str:
    """The host's SSH key as `ssh-keygen -l` prints it."""
    return _sha256(base64.b64decode(host.ssh_host_key.split()[1]))


def tls_fingerprint(host: LabHost) -> str:
    """The host's certificate, in the same form."""
    certificate = x509.load_pem_x509_certificate(host.tls_server_cert.read_bytes())
    return _sha256(certificate.public_bytes(serialization.Encoding.DER))


def _sha256(data: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _ssh_credential(lab: Lab) -> dict[str, object]:
    return {
        "name": "Lab SSH key",
        "kind": "ssh_key",
        "private_key": lab.hosts[0].ssh_private_key.read_text(),
    }


def _tls_credential(lab: Lab) -> dict[str, object]:
    host = lab.hosts[0]
    return {
        "name": "Lab TLS certificate",
        "kind": "tls",
        "ca_certificate": host.tls_ca.read_text(),
        "certificate": host.tls_client_cert.read_text(),
        "private_key": host.tls_client_key.read_text(),
    }
