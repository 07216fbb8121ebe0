"""SSH keys of a lab: one for clients, one per host."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


def make_key(path: Path, comment: str) -> None:
    """Write an ed25519 key pair in OpenSSH's form, `path` (0600) and `path`.pub, over an older one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    path.touch(mode=0o600)
    path.write_bytes(private)
    path.with_suffix(".pub").write_text(f"{public.decode()} {comment}\n")
