"""Secrets at rest: sealed with a key that lives in a file outside the database.

The key file holds one Fernet key per line. The first seals; all open, so a key is changed by putting a new
one on top.
"""

from __future__ import annotations

import hmac
import json
import os
import stat
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.core.errors import Unavailable
from app.core.messages import N_


class Vault:
    """Seals and opens secrets with the keys of one file, which is made when it is missing.

    Raises Unavailable when the file cannot be used, or when others than its owner may read it.
    """

    def __init__(self, key_path: Path) -> None:
        try:
            if not key_path.exists():
                _make(key_path)
            keys = _read(key_path)
        except OSError as error:
            raise Unavailable(
                N_("The key file cannot be used."),
                why=f"{key_path}: {error.strerror}",
                hint=N_(
                    "Let Vigie's account read the file that VIGIE_KEY_FILE names, or write to its folder."
                ),
                code="key_file",
            ) from error
        self._fernet, self._first = _fernet_of(keys, key_path), keys[0]

    def mark(self, text: str) -> str:
        """A digest that says nothing of a short or guessable text to whoever has only the database."""
        return hmac.new(self._first, b"vigie mark\0" + text.encode(), "sha256").hexdigest()

    def seal(self, secret: dict[str, str]) -> bytes:
        """Encrypt and authenticate the fields of a secret."""
        return self._fernet.encrypt(json.dumps(secret).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        """Return what was sealed. Raises Unavailable when none of the keys fits."""
        try:
            fields: dict[str, str] = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise Unavailable(
                N_("A stored credential cannot be opened."),
                why=N_("It was sealed with a key that is not in the key file."),
                hint=N_("Put the former key file back, or enter the credential again."),
                code="key_mismatch",
            ) from None
        return fields


def _make(path: Path) -> None:
    """Write a new key; when another process is quicker, its key stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            return
    finally:
        os.unlink(name)


def _read(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        lines = file.read(100_000).split()
    if mode & 0o077:
        raise Unavailable(
            N_("The key file is open to others."),
            why=f"{path}: {mode:04o}",
            hint=f"chmod 600 {path}",
            code="key_file",
        )
    return lines


def _fernet_of(keys: list[bytes], path: Path) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise Unavailable(
            N_("The key file holds no valid key."),
            why=str(path),
            hint=N_("Put the former key file back; without it the stored credentials are lost."),
            code="key_file",
        ) from None
