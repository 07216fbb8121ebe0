"""`vigie volume` and `vigie image` beside a running server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.lab.lab import Lab
from tests.integration.cli.conftest import Vigie

pytestmark = pytest.mark.lab


def test_volumes_and_images(vigie: Vigie, fresh_lab: Lab, tmp_path: Path) -> None:
    def names() -> set[str]:
        return {
            load["name"]
            for load in json.loads(vigie("volume", "list", "--pool", "kvm-01/local", "--json").stdout)
        }

    assert vigie("volume", "create", "kvm-01/local", "a.qcow2", "16M").returncode == 0
    assert vigie("volume", "resize", "kvm-01/local/a.qcow2", "32M").returncode == 0
    assert vigie("volume", "clone", "kvm-01/local/a.qcow2", "b.qcow2").returncode == 0
    moved = vigie("volume", "move", "kvm-01/local/b.qcow2", "kvm-01/shared")
    assert moved.returncode == 0, moved.stderr
    assert "b.qcow2" in fresh_lab.hosts[0].virsh("vol-list", "shared")
    file, back = tmp_path / "file.img", tmp_path / "back.img"
    file.write_bytes(os.urandom(3_000_001))
    sent = vigie("volume", "upload", "kvm-01/local", str(file))
    assert sent.returncode == 0, sent.stderr
    assert vigie("volume", "download", "kvm-01/local/file.img", str(back)).returncode == 0
    assert back.read_bytes() == file.read_bytes()
    assert {"a.qcow2", "file.img"} <= names()
    for name in ("kvm-01/local/a.qcow2", "kvm-01/local/file.img", "kvm-01/shared/b.qcow2"):
        gone = vigie("volume", "delete", name, "--yes")
        assert gone.returncode == 0, gone.stderr
    assert vigie("volume", "upload", "kvm-01/local", str(file), "--name", "again").returncode == 0
    added = vigie("image", "add", "Noise", "kvm-01/local/again")
    assert added.returncode == 0, added.stderr
    (image,) = json.loads(vigie("image", "list", "--json").stdout)
    assert (image["name"], image["state"], image["size_bytes"]) == ("Noise", "ready", 3_000_001)
    kept = vigie("volume", "delete", "kvm-01/local/again", "--yes")
    assert (kept.returncode, "Noise" in kept.stderr) == (1, True)
    assert vigie("image", "remove", "Noise").returncode == 0


def test_what_is_wrong_is_said(vigie: Vigie, tmp_path: Path) -> None:
    for arguments, message in (
        (("volume", "create", "local", "x", "8M"), "must be HOST/POOL"),
        (("volume", "create", "kvm-01/none", "x", "8M"), "names no storage pool"),
        (("volume", "create", "kvm-01/local", "..", "8M"), "must be a plain name"),
        (("volume", "delete", "kvm-01/local/none", "--yes"), "names no volume"),
        (("volume", "upload", "kvm-01/local", str(tmp_path / "none")), "is no file"),
        (("image", "remove", "none"), "names no image"),
        (("image", "import", "X", "https://a.example/x.img", "kvm-01/local"), "Nothing may be imported"),
    ):
        done = vigie(*arguments)
        assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (1, True, False), (
            done.stderr
        )
