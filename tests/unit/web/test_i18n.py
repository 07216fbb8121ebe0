"""Languages: what a browser asks for, and what is known."""

from __future__ import annotations

import pytest

from app.web.i18n import negotiate, translator


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de, fr;q=0.5, en;q=0.4", "fr"),
        ("de, en;q=0.8, fr;q=0.5", "en"),
        ("fr;q=0, en", "en"),
        ("*", "en"),
        ("fr;q=nonsense", "en"),
        ("\x00;;;=,,,", "en"),
        (",".join(["zz"] * 10_000) + ",fr", "en"),
    ],
)
def test_negotiation(header: str | None, language: str) -> None:
    assert negotiate(header) == language


def test_unknown_message_and_unknown_language_stay_english() -> None:
    assert translator("fr")("no such message in any catalogue") == "no such message in any catalogue"
    assert translator("xx")("Running") == "Running"
    assert translator("fr")("") == ""
