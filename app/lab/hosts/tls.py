"""Certificates of a lab: one authority, a server certificate per host, one client certificate."""

from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.lab.errors import LabError
from app.lab.state import now

VALID = timedelta(days=30)


def make_authority(directory: Path) -> None:
    """Write `cacert.pem` and `cakey.pem` into `directory`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Vigie lab {directory.parent.name}")])
    certificate = (
        _begin(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(directory, "ca", key, certificate)


def make_client(directory: Path, authority: Path) -> None:
    """Write `clientcert.pem` and `clientkey.pem` into `directory`, signed by the authority in `authority`."""
    _issue(directory, authority, "client", "vigie", [])


def make_server(directory: Path, authority: Path, name: str, address: IPv4Address) -> None:
    """Write `servercert.pem` and `serverkey.pem` for a host that answers by this name and address.

    The certificate serves as a client's too: a host is the client of another in a peer-to-peer migration.
    """
    _issue(directory, authority, "server", name, [x509.DNSName(name), x509.IPAddress(address)])


def _issue(directory: Path, authority: Path, kind: str, name: str, names: list[x509.GeneralName]) -> None:
    ca_key = serialization.load_pem_private_key((authority / "cakey.pem").read_bytes(), password=None)
    ca = x509.load_pem_x509_certificate((authority / "cacert.pem").read_bytes())
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise LabError(f"{authority} holds no key of the lab; run `vigie lab down` and `vigie lab up` again.")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if kind == "server":
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _begin(subject, ca.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(directory, kind, key, builder.sign(ca_key, hashes.SHA256()))


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + VALID)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        # libvirt refuses a certificate without it, whatever the kind of key.
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    directory: Path, kind: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    pem = serialization.Encoding.PEM
    key_bytes = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_path = directory / f"{kind}key.pem"
    key_path.touch(mode=0o600)
    key_path.write_bytes(key_bytes)
    (directory / f"{kind}cert.pem").write_bytes(certificate.public_bytes(pem))
