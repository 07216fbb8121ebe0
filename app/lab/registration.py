"""Make a lab known to a Vigie server, by its command line and its REST API, as a person would."""

import base64
import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from app.lab.errors import LabError
from app.lab.host import LabHost
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

    The identity that a host shows is confirmed only when it is the one that the lab gave it.
    """
    ssh = rest.call("POST", "/credentials", _ssh_credential(lab))["id"]
    tls = rest.call("POST", "/credentials", _tls_credential(lab))["id"]
    return [register_host(rest, host, tls if by_tls(host) else ssh) for host in lab.hosts]


def register_host(rest: Rest, host: LabHost, credential_id: str) -> str:
    """Register one host and return its id. Raises LabError when it shows another identity than its own."""
    if by_tls(host):
        where: dict[str, object] = {"transport": "tls", "address": host.address, "port": host.tls_port}
        known = tls_fingerprint(host)
    else:
        where = {"transport": "ssh", "address": host.address, "port": host.ssh_port, "user": host.ssh_user}
        known = ssh_fingerprint(host)
    asked = {"name": host.name, "credential_id": credential_id, **where}
    first = rest.ask("POST", "/api/v1/hosts", asked)
    if first.status != 409 or "fingerprint" not in first.data:
        raise LabError(
            f"{host.name} was not asked for its identity, but answered {first.status}: {first.data}"
        )
    shown = str(first.data["fingerprint"])
    if _plain(shown) != _plain(known):
        raise LabError(f"{host.name} shows {shown}, but its identity is {known}.")
    return str(rest.call("POST", "/hosts", {**asked, "fingerprint": shown})["id"])


def by_tls(host: LabHost) -> bool:
    """Whether the host is registered by TLS: every third is."""
    return host.host.number % 3 == 0


def ssh_fingerprint(host: LabHost) -> str:
    """The host's SSH key as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(base64.b64decode(host.ssh_host_key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def tls_fingerprint(host: LabHost) -> str:
    """The host's certificate as `openssl x509 -fingerprint -sha256` prints it, after SHA256:."""
    certificate = x509.load_pem_x509_certificate(host.tls_server_cert.read_bytes())
    return f"SHA256:{certificate.fingerprint(hashes.SHA256()).hex(':').upper()}"


def _plain(fingerprint: str) -> str:
    """A fingerprint without what only separates: base64 is compared as it is, hex in one case."""
    bare = fingerprint.removeprefix("SHA256:")
    return bare.replace(":", "").lower() if ":" in bare else bare


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
