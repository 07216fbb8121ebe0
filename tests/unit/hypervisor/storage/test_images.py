"""Image files that attack, lie or are half, and those that are plain. Made by qemu-img or by hand, never opened by QEMU."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.hypervisor.storage.images import ImageFacts, ImageRefused, inspect

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
    with pytest.raises(ImageRefused) as reported:
        look(EVIL[name](qemu_img))
    assert reported.value.code == "image_refused"
    assert reported.value.texts().why


def test_noise_of_every_length_is_an_image_or_refused() -> None:
    noise = bytes((number * 7919) % 251 for number in range(5000))
    for length in (1, 3, 4, 511, 512, 513, 4096, 5000):
        assert look(noise[:length]).format == "raw"


def header(data: bytes, offset: int, layout: str, *values: int) -> bytes:
    return patched(data, offset, struct.pack(layout, *values))


def extension(data: bytes, kind: int, text: bytes) -> bytes:
    padded = text.ljust(-(-len(text) // 8) * 8, b"\0")
    return patched(data, 112, struct.pack(">II", kind, len(text)) + padded + bytes(8))


LIES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cluster bits 0": (lambda data: header(data, 20, ">I", 0), "cluster bits"),
    "cluster bits 8": (lambda data: header(data, 20, ">I", 8), "cluster bits"),
    "cluster bits 22": (lambda data: header(data, 20, ">I", 22), "cluster bits"),
    "cluster bits 63": (lambda data: header(data, 20, ">I", 63), "cluster bits"),
    "cluster bits 255": (lambda data: header(data, 20, ">I", 255), "cluster bits"),
    "a size of 2^62": (lambda data: header(data, 24, ">Q", 1 << 62), "more than its format can hold"),
    "a size of 2^64-1": (lambda data: header(data, 24, ">Q", 2**64 - 1), "more than its format can hold"),
    "a disk that its table cannot describe": (lambda data: header(data, 24, ">Q", 1 << 40), "L1 table"),
    "an L1 table without end": (lambda data: header(data, 36, ">I", 0xFFFFFFFF), "L1 table"),
    "an L1 table outside the file": (lambda data: header(data, 40, ">Q", 1 << 40), "L1 table"),
    "an L1 table between clusters": (lambda data: header(data, 40, ">Q", 0x30001), "L1 table"),
    "a refcount table outside the file": (lambda data: header(data, 48, ">Q", 1 << 40), "broken"),
    "snapshots without end": (lambda data: header(data, 60, ">I", 1 << 30), "broken"),
    "a header as long as the file": (lambda data: header(data, 100, ">I", 1 << 17), "broken"),
    "a compression that does not exist": (lambda data: header(data, 104, ">B", 7), "broken"),
    "AES": (lambda data: header(data, 32, ">I", 1), "encrypted"),
    "LUKS": (lambda data: header(data, 32, ">I", 2), "encrypted"),
    "an encryption that does not exist": (lambda data: header(data, 32, ">I", 3), "encryption that does not exist"),
    "an external data file without its bit": (lambda data: extension(data, 0x44415441, b"/etc/shadow"), "external data file"),
    "an extension longer than the header": (lambda data: header(data, 112, ">II", 0xE2792ACA, 1 << 31), "broken"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_header_fields_that_lie_are_refused(name: str, qemu_img: Made) -> None:
    lie, why = LIES[name]
    with pytest.raises(ImageRefused) as reported:
        look(lie(qemu_img("qcow2", "64M")))
    assert why in (reported.value.texts().why or "")


@pytest.mark.parametrize("magic", [b"conectix", b"koly"])
def test_a_vhd_footer_or_a_dmg_trailer_in_a_raw_file_is_refused(magic: bytes) -> None:
    for tail in (magic.ljust(512, b"\0"), (b"\0" + magic).ljust(512, b"\0")):
        data = bytes(64 * KIB) + tail
        with pytest.raises(ImageRefused):
            inspect([data], len(data), data[-512:])
    assert inspect([bytes(4096)], 4096, bytes(512)).format == "raw"


@pytest.mark.parametrize(
    "options", ["compat=0.10", "cluster_size=512", "cluster_size=2M", "compression_type=zstd"]
)
def test_what_qemu_img_makes_is_taken(options: str, qemu_img: Made) -> None:
    assert look(qemu_img("qcow2", "1G", "-o", options)) == ImageFacts("qcow2", 1024**3)
