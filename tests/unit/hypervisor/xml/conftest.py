"""The golden files beside a test."""

import pytest

pytest.register_assert_rewrite("tests.unit.hypervisor.xml.golden")

from tests.unit.hypervisor.xml.golden import Golden  # noqa: E402


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Those of the directory of the test, which names libvirt's schema as SCHEMA."""
    return Golden(
        request.path.parent / "golden", request.module.SCHEMA, request.config.getoption("--update-golden")
    )
