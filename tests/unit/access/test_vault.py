"""Secrets at rest: the key file, changing keys, and what is refused."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.access.vault import Vault
from app.core.errors import Unavailable

SECRET = {"password": "s3cret-é"}


def write_key(path: Path, *lines: bytes) -> None:
    path.write_bytes(b"\n".join(lines) + b"\n")
    path.chmod(0o600)


def test_a_key_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    sealed = Vault(path).seal(SECRET)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert [item.name for item in path.parent.iterdir()] == ["key"]
    assert Vault(path).open(sealed) == SECRET


def test_what_is_sealed_does_not_show_and_never_repeats(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "key")
    first, second = vault.seal(SECRET), vault.seal(SECRET)
    assert b"s3cret" not in first
    assert first != second


def test_a_new_key_on_top_seals_and_the_old_one_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = Vault(path).seal(SECRET)
    old, new = path.read_bytes().strip(), Fernet.generate_key()
    write_key(path, new, old)
    after = Vault(path).seal(SECRET)
    assert Vault(path).open(before) == SECRET
    write_key(path, new)
    assert Vault(path).open(after) == SECRET
    with pytest.raises(Unavailable) as reported:
        Vault(path).open(before)
    assert reported.value.code == "key_mismatch"


@pytest.mark.parametrize("change", [lambda data: data[:-4], lambda data: data[:20] + b"A" + data[21:]])
def test_changed_bytes_are_refused(tmp_path: Path, change) -> None:
    vault = Vault(tmp_path / "key")
    sealed = vault.seal(SECRET)
    changed = change(sealed)
    assert changed != sealed
    with pytest.raises(Unavailable) as reported:
        vault.open(changed)
    assert reported.value.code == "key_mismatch"


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"\x00\xff" * 100, b"A" * 200_000])
def test_garbage_is_not_a_key_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Unavailable) as reported:
        Vault(path)
    assert reported.value.code == "key_file"
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    write_key(path, Fernet.generate_key())
    path.chmod(mode)
    with pytest.raises(Unavailable) as reported:
        Vault(path)
    assert reported.value.code == "key_file"
    assert f"{mode:04o}" in str(reported.value.texts().why)
    assert (
        path.read_bytes().decode().strip()
        not in f"{reported.value.texts().why} {reported.value.texts().hint}"
    )


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as reported:
        Vault(tmp_path)
    assert reported.value.code == "key_file"
