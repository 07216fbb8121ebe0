"""Sign in as a test's user."""

from __future__ import annotations

from app.access.context import Services
from app.access.sign_in import sign_in as sign_in_module
from app.access.sign_in.sign_in import Browser, SignIn

PASSWORD = "correct horse battery"


def sign_in(
    services: Services, name: str = "ada", password: str = PASSWORD, remote: str = "192.0.2.7", **cookies: str
) -> SignIn:
    """Sign in with a browser that has these cookies."""
    return sign_in_module.sign_in(services, name, password, Browser(remote, "a browser", **cookies))
