"""Devices that are known from an earlier login, on both databases."""

import pytest

from app.access.context import Services
from app.access.sign_in import known_devices
from app.core.errors import (
    TooManyRequests,
)
from tests.unit.access.sign_in.test_sign_in import guess
from tests.unit.access.signing_in import sign_in


def test_a_known_device_is_let_in_though_its_address_guessed_too_often(services: Services, ada) -> None:
    device = sign_in(services).device
    guess(services, services.settings.login_attempts, remote="192.0.2.7")
    with pytest.raises(TooManyRequests) as reported:
        sign_in(services)
    assert 1 <= reported.value.retry_after_s <= 300
    assert sign_in(services, device=device).user.id == ada.id


def test_guesses_on_a_known_device_are_limited_too(services: Services, ada) -> None:
    device = sign_in(services).device
    guess(services, services.settings.login_attempts, device=device, user_id=ada.id)
    with pytest.raises(TooManyRequests):
        sign_in(services, device=device)
    assert sign_in(services).user.id == ada.id


def test_the_cookie_of_a_device_counts_for_its_own_user_and_unchanged_only(
    services: Services, ada, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, cookie = services.vault, known_devices.new_device(services.vault, ada.id)
    assert known_devices.known_device(vault, cookie, ada.id) is not None
    owner, number, issued, mark = cookie.split(".")
    for forged in (
        *("", ".", "...", "é.é", "a.b.c", cookie + "0", mark, f"{owner}.{number}.{issued}."),
        f"{owner}.{number}.{int(issued) + 1}.{mark}",
    ):
        assert known_devices.known_device(vault, forged, ada.id) is None, forged
    assert known_devices.known_device(vault, cookie, "user_other") is None
    assert known_devices.known_device(vault, cookie, None) is None
    monkeypatch.setattr(known_devices, "DEVICE_S", -1)
    assert known_devices.known_device(vault, cookie, ada.id) is None
