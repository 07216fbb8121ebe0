"""A user who signs in."""

from __future__ import annotations

import pytest

from app.access import accounts
from app.access.context import Services
from app.core.access.records import UserRecord
from tests.unit.access.signing_in import PASSWORD


@pytest.fixture
def ada(services: Services) -> UserRecord:
    """An administrator who can sign in."""
    return accounts.first_user(services, "Ada", PASSWORD)
