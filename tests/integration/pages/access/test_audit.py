"""The page of the audit."""

from __future__ import annotations

import pytest

from app.core.access.privileges import Role
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from tests.integration.api.conftest import Console


@pytest.mark.parametrize("kind", ObjectKind)
def test_the_audit_is_shown_whatever_a_refused_request_named(console: Console, kind: ObjectKind) -> None:
    """A viewer's request that named a preset as a VM made the page of the audit fail."""
    named = new_id(kind)
    refused = console.client(Role.VIEWER).post(f"/api/v1/vms/{named}/actions/start")
    assert refused.status_code == 403
    page = console.browser().get("/audit?outcome=refused")
    assert page.status_code == 200
    assert named in page.text
