"""Definitions of storage volumes against golden files (see tests.unit.hypervisor.xml.golden)."""

from typing import Any

import pytest

from app.core.vms.config import VolumePlan
from app.hypervisor.xml.volumes import volume_xml
from tests.unit.hypervisor.xml.golden import Golden

SCHEMA = "storagevol"


def volume(**fields: Any) -> str:
    return volume_xml(VolumePlan(**{"pool": "fast", "name": "a.qcow2", "format": "qcow2", "size_bytes": 2**30, **fields}))  # fmt: skip


BUILT = {
    "qcow2": volume(),
    "raw": volume(format="raw", name="a.raw"),
    "preallocated": volume(preallocate=True),
    "empty": volume(size_bytes=0),
    "backed": volume(backing_path="/p/base.qcow2"),
    "backed-by-raw": volume(backing_path="/p/a & b.raw", backing_format="raw"),
    "clone": volume(clone_of="/p/other.qcow2", clone_format="qcow2"),
    "odd-name": volume(name="<img> & \"'é"),
}


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    golden.check_built(case, BUILT[case])


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=BUILT)
