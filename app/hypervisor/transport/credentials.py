"""Checks the secrets that people enter, and says in one line what each one is, without giving it away."""

from __future__ import annotations

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.hypervisor.transport.targets import Secret, SshKey, SshPassword


def describe_secret(secret: Secret) -> str:
    """Return the public part: key type and fingerprint, or subject and end date of the certificate.

    Raises InvalidInput naming the field that is malformed, or does not fit the others.
    """
    if isinstance(secret, SshKey):
        return _describe_key(secret)
    if isinstance(secret, SshPassword):
        if not secret.password:
            raise InvalidInput("password", N_("must not be empty"))
        return "••••••••"
    certificate = _certificate(secret.certificate, "certificate")
    _certificate(secret.ca_certificate, "ca_certificate")
    try:
        key = load_pem_private_key(secret.private_key.encode(), password=None)
    except (ValueError, TypeError, UnicodeEncodeError):
        raise InvalidInput("private_key", N_("is not a PEM private key without a passphrase")) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise InvalidInput("private_key", N_("does not belong to the certificate"))
    return f"{certificate.subject.rfc4514_string()[:200]}, {certificate.not_valid_after_utc:%Y-%m-%d}"


def _describe_key(secret: SshKey) -> str:
    try:
        key = asyncssh.import_private_key(secret.private_key, secret.passphrase)
    except asyncssh.KeyEncryptionError:
        field, rule = "passphrase", N_("does not open the key")
        if secret.passphrase is None:
            rule = N_("is needed for this key")
        raise InvalidInput(field, rule) from None
    except (asyncssh.KeyImportError, ValueError):
        raise InvalidInput("private_key", N_("is not a private key in OpenSSH or PEM form")) from None
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def _certificate(pem: str, field: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise InvalidInput(field, N_("is not a certificate in PEM form")) from None
