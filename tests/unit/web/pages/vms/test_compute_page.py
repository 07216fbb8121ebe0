"""The page of a VM's machine draws what it is, what was typed, and values that its host does not offer."""

from __future__ import annotations

import pytest

from app.core.kinds import ObjectKind
from app.core.records import Ref
from app.core.vms.compute import ComputePatch, DiskPatch, HardwareRecord, ResourcesPatch
from app.core.vms.host_devices import HostDeviceList, HostDeviceRecord
from app.services.vms.create.choices import Choices
from app.web.pages.rendering.forms import PartForms, Shown
from app.web.pages.vms import create_form
from app.web.pages.vms.compute import ComputePage
from tests.unit.web.pages import samples
from tests.unit.web.pages.test_templates import FAILED, assert_harmless, draw

MACHINE = HardwareRecord.model_validate(
    {
        "cpu_mode": "custom",
        "cpu_model": samples.HTML,
        "graphics": "spice",
        "video": "cirrus",
        "sockets": 2,
        "pins": [{"vcpu": 0, "cpus": "0-3"}, {"vcpu": 1, "cpus": "4"}],
        "disks": [{"target": "vda", "cache": "none", "io": "native", "discard": True}],
        "nics": [{"mac": "52:54:00:00:00:01", "filter": "clean-traffic"}],
    }
)
WORDS = {
    "watchdog": create_form.options_of(ComputePatch, "watchdog"),
    "numa_mode": create_form.options_of(ResourcesPatch, "numa_mode"),
    "cache": create_form.options_of(DiskPatch, "cache"),
    "io": create_form.options_of(DiskPatch, "io"),
}


def _drawn(hardware: HardwareRecord, part: str, form: Shown, language: str = "en") -> str:
    device = HostDeviceRecord.model_validate(
        {
            "name": "pci_0000_01_00_0",
            "kind": "pci",
            "address": "0000:01:00.0",
            "title": samples.HTML,
            "iommu_group": 7,
            "users": [Ref(kind=ObjectKind.VM, id="vm_1", name=samples.HTML)],
        }
    )
    html = draw(
        "vms/edit_compute.html",
        language=language,
        vm=samples.vm(samples.HTML),
        page=ComputePage(hardware),
        hardware=hardware,
        version=1,
        form=form,
        forms=PartForms(part, form),
        devices=HostDeviceList(items=[device], read_at=samples.NOW),
        choices=Choices(hosts=()),
        words=WORDS,
    )
    assert_harmless(html)
    return html


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    "part", ["", "compute", "resources", "device", "filesystem", "vda", "52:54:00:00:00:01"]
)
def test_it_draws_with_the_errors_of_each_part(part: str, language: str) -> None:
    typed = {"cores": samples.HTML, "pins": samples.HTML, "key": part}
    form = Shown(typed, dict.fromkeys(typed, samples.HTML), FAILED.problem)
    _drawn(MACHINE, part, form, language)


def test_values_in_use_can_be_chosen_although_the_host_does_not_offer_them() -> None:
    html = _drawn(MACHINE, "", Shown())
    for value, label in (("spice", "SPICE"), ("cirrus", "cirrus"), ("custom", "The model chosen beside")):
        start = html.index(f'<option value="{value}"  selected')
        assert label in html[start : html.index("</option>", start)]
    assert "0: 0-3\n1: 4</textarea>" in html
    assert "IOMMU group 7" in html


def test_a_machine_that_boots_a_kernel_of_its_host_has_no_firmware() -> None:
    html = _drawn(MACHINE.model_copy(update={"firmware": "direct"}), "", Shown())
    assert "none: a kernel of the host" in html
    assert "none: a kernel of the host" not in _drawn(MACHINE, "", Shown())
