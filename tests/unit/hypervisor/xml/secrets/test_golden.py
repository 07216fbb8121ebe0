"""Definitions of secrets of pools against golden files (see tests.unit.hypervisor.xml.golden)."""

import pytest

from app.core.storage.pools import SECRET_KINDS
from app.hypervisor.xml.secrets import secret_xml
from tests.unit.hypervisor.xml.golden import Golden

SCHEMA = "secret"
BUILT = {kind: secret_xml("6b1f6a2e-9d0f-4c0b-8f5e-3d2c1b0a9e8d", kind) for kind in SECRET_KINDS}


@pytest.mark.parametrize("case", BUILT)
def test_built(case: str, golden: Golden) -> None:
    golden.check_built(case, BUILT[case])


def test_each_file_has_its_case(golden: Golden) -> None:
    golden.check_files(built=BUILT)
