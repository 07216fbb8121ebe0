"""Image files that attack, lie or are half, and those that are plain. Made by qemu-img or by hand, never opened by QEMU."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.hypervisor.images import ImageFacts, ImageRefused, inspect

KIB = 1024
Made = Callable[..., bytes]


@pytest.fixture
def qemu_img(tmp_path: Path) -> Made:
    """The bytes of an image that qemu-img makes: `qemu_img("qcow2", "1M", "-o", "data_file=…")`."""

    def make(kind: str, size: str = "1M", *options: str) -> bytes:
        path = tmp_path / f"image.{kind}"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", kind, *options, str(path), size], check=True, cwd=tmp_path
        )
        return path.read_bytes()

    return make


def look(data: bytes) -> ImageFacts:
    return inspect((data[at : at + 1000] for at in range(0, len(data), 1000)), len(data))


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def iso(size: int = 64 * KIB) -> bytes:
    return patched(bytes(size), 32 * KIB, b"\x01CD001\x01\x00")


def gpt(size: int = 64 * KIB) -> bytes:
    protective = b"\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"
    data = patched(bytes(size), 446, protective)
    return patched(patched(data, 510, b"\x55\xaa"), 512, b"EFI PART")


def test_plain_images_are_taken(qemu_img: Made) -> None:
    assert look(qemu_img("qcow2", "64M")) == ImageFacts("qcow2", 64 * 1024**2)
    assert look(bytes(100 * KIB)) == ImageFacts("raw", 100 * KIB)
    assert look(b"\xfa" * 3000) == ImageFacts("raw", 3000)
    assert look(iso()).format == "iso"
    assert look(gpt()).format == "raw"
    hybrid = patched(iso(), 510, b"\x55\xaa")
    assert look(hybrid).format == "iso"


EVIL: dict[str, Callable[[Made], bytes]] = {
    "backing file": lambda make: make("qcow2", "1M", "-b", "/etc/passwd", "-F", "raw"),
    "backing file that is not there": lambda make: make("qcow2", "1M", "-u", "-b", "/dev/mem", "-F", "raw"),
    "backing by protocol": lambda make: make("qcow2", "1M", "-u", "-b", "nbd:unix:/run/x.sock", "-F", "raw"),
    "backing by json": lambda make: make("qcow2", "1M", "-u", "-b", 'json:{"driver":"file","filename":"/etc/shadow"}', "-F", "raw"),
    "external data file": lambda make: make("qcow2", "1M", "-o", "data_file=other,data_file_raw=on"),
    "old qcow2 with backing": lambda make: make("qcow2", "1M", "-o", "compat=0.10", "-u", "-b", "/etc/passwd", "-F", "raw"),
    "unknown incompatible feature": lambda make: patched(make("qcow2"), 72, struct.pack(">Q", 1 << 40)),
    "data file bit set by hand": lambda make: patched(make("qcow2"), 72, struct.pack(">Q", 1 << 2)),
    "version of the future": lambda make: patched(make("qcow2"), 4, struct.pack(">I", 9)),
    "backing offset beyond its length": lambda make: patched(make("qcow2"), 8, struct.pack(">QI", 1 << 60, 10)),
    "half a qcow2 header": lambda make: make("qcow2")[:50],
    "only the magic of qcow2": lambda _: b"QFI\xfb",
    "qcow, the first": lambda make: make("qcow"),
    "vmdk": lambda make: make("vmdk"),
    "vmdk of a flat file": lambda make: make("vmdk", "1M", "-o", "subformat=monolithicFlat"),
    "vmdk stream": lambda make: make("vmdk", "1M", "-o", "subformat=streamOptimized"),
    "vmdk descriptor that names a file": lambda _: (
        b"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 20480 FLAT \"/etc/passwd\" 0\n" + bytes(4096)
    ),
    "vdi": lambda make: make("vdi"),
    "vhd": lambda make: make("vpc"),
    "vhdx": lambda make: make("vhdx", "8M"),
    "qed": lambda make: make("qed"),
    "luks": lambda _: b"LUKS\xba\xbe\0\1" + bytes(8192),
    "qcow2 that is an ISO too": lambda make: patched(make("qcow2", "64M"), 32 * KIB, b"\x01CD001\x01\x00"),
    "vmdk that is an ISO too": lambda make: patched(make("vmdk"), 32 * KIB, b"\x01CD001\x01\x00"),
}  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_attacks_and_foreign_formats_are_refused(name: str, qemu_img: Made) -> None:
    with pytest.raises(ImageRefused) as told:
        look(EVIL[name](qemu_img))
    assert told.value.code == "image_refused"
    assert told.value.why


def test_noise_of_every_length_is_an_image_or_refused() -> None:
    noise = bytes((number * 7919) % 251 for number in range(5000))
    for length in (1, 3, 4, 511, 512, 513, 4096, 5000):
        assert look(noise[:length]).format == "raw"
