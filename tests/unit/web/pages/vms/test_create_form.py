"""The form of a new VM and its specification are the same thing, and errors find their fields."""

from __future__ import annotations

import pytest

from app.core.errors import InvalidInput
from app.core.vms.create.spec import GIB, MIB, VmSpec
from app.web.pages.rendering.forms import Form, FormInvalid
from app.web.pages.vms import create_form

WHOLE = VmSpec.model_validate(
    {
        "name": "web", "host_id": "host_aaaaaaaaaaaaaaaa", "title": "Web", "os": "debian11", "machine": "q35",
        "firmware": "efi", "memory_bytes": 512 * MIB, "memory_max_bytes": 1024 * MIB, "huge_pages": True, "tpm": True,
        "cpu": {"vcpus": 2, "vcpus_max": 4, "sockets": 1, "cores": 4, "threads": 1, "mode": "custom", "model": "Nehalem"},
        "disks": [
            {"pool_id": "pool_aaaaaaaaaaaaaaaa", "size_bytes": GIB // 2, "bus": "scsi", "cache": "none", "io": "native",
             "discard": False, "preallocate": True, "format": "raw", "volume_name": "x", "boot_order": 1},
            {"pool": "local", "image_id": "img_aaaaaaaaaaaaaaaa", "linked": False},
            {"volume_id": "vol_aaaaaaaaaaaaaaaa"},
            {"device": "cdrom", "volume_id": "vol_bbbbbbbbbbbbbbbb"},
            {"device": "cdrom"},
        ],
        "nics": [
            {"network_id": "net_aaaaaaaaaaaaaaaa", "model": "e1000e", "mac": "52:54:00:00:00:01", "filter": "clean",
             "portgroup": "p", "boot_order": 2},
            {"network": "default", "link_up": False}, {"bridge": "br0", "vlan": 7}, {"direct": "eno1", "direct_mode": "vepa"},
        ],
        "boot_from_network": True, "kernel": {"kernel_volume_id": "vol_cccccccccccccccc", "command_line": "quiet"},
        "cloud_init": {"hostname": "h", "user": "bob", "ssh_keys": ["ssh-ed25519 AAAA bob"], "network": "static",
                       "address": "192.0.2.1/24", "gateway": "192.0.2.254", "nameservers": ["192.0.2.2"], "user_data": "a: 1"},
        "graphics": "none", "video": "vga", "serial": False, "guest_agent": False, "rng": False, "watchdog": "reset",
        "sound": True, "autostart": True, "start": False, "tags": ["a", "b"], "notes": "two\nlines",
    }
)  # fmt: skip


def form_of(values: dict[str, str]) -> Form:
    return Form(values, {name: [value] for name, value in values.items()})


@pytest.mark.parametrize("spec", [WHOLE, VmSpec(name="plain")])
def test_a_specification_survives_the_form(spec: VmSpec) -> None:
    assert create_form.spec_of(form_of(create_form.values_of(spec))) == spec


def test_the_first_form_lacks_a_name_a_pool_and_a_network() -> None:
    with pytest.raises(FormInvalid) as reported:
        create_form.spec_of(form_of(dict(create_form.START)))
    assert {error.field for error in reported.value.errors} == {"name", "disks.0.pool", "nics.0.network"}


def test_errors_are_told_at_the_rows_that_are_left() -> None:
    values = dict(create_form.START) | {"name": "x", "nics.0.network": "default"}
    for step in ("add-disk", "add-media", "remove-disks-0"):
        values = create_form.with_rows_changed(values, step)
    values |= {"disks.1.pool": "local", "disks.1.size_gib": "0"}
    with pytest.raises(FormInvalid) as reported:
        create_form.spec_of(form_of(values))
    assert [error.field for error in reported.value.errors] == ["disks.1.size_gib"]
    at_second = InvalidInput("disks.1.volume_id", "no")
    named = create_form.named_as_in_form(at_second, form_of(values))
    assert isinstance(named, InvalidInput)
    assert named.field == "disks.2.media"


@pytest.mark.parametrize("text", ["x", "1e999", "nan", "--1"])
def test_sizes_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as reported:
        create_form.spec_of(form_of({"name": "x", "memory_mib": text}))
    assert reported.value.field == "memory_mib"


def test_rows_have_an_end() -> None:
    values = dict(create_form.START)
    for _ in range(40):
        values = create_form.with_rows_changed(values, "add-disk")
    assert len(create_form.rows(values, "disks")) == create_form.MAX_ROWS


def test_a_password_is_never_sent_back() -> None:
    assert "cloud_init.password" not in create_form.with_rows_changed({"cloud_init.password": "x"}, "redraw")
