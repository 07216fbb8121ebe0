"""The golden files beside a test."""

import pytest

from tests.unit.hypervisor.xml.golden import Golden


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Those of the folder of the test, which names libvirt's schema as SCHEMA."""
    return Golden(
        request.path.parent / "golden", request.module.SCHEMA, request.config.getoption("--update-golden")
    )
