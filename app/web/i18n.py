"""Texts in the reader's language: gettext catalogues of app/locale, English where nothing better is known."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.core import negotiate_locale

LANGUAGES = ("en", "fr")
DEFAULT_LANGUAGE = "en"
LOCALES = Path(__file__).parent.parent / "locale"
DOMAIN = "vigie"

Translate = Callable[[str], str]


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The catalogue of a language; unknown languages and English give the message ids themselves."""
    if language not in LANGUAGES:
        language = DEFAULT_LANGUAGE
    return gettext.translation(DOMAIN, localedir=LOCALES, languages=[language], fallback=True)


@cache
def translator(language: str) -> Translate:
    """A function from message id to text in the language."""
    catalogue = translations(language)

    def translate(message: str) -> str:
        return catalogue.gettext(message) if message else message  # gettext("") is the catalogue's header

    return translate


def negotiate(accept_language: str | None) -> str:
    """The best of our languages for an Accept-Language header."""
    wanted: list[tuple[float, str]] = []
    for part in (accept_language or "").split(",")[:20]:
        name, _, options = part.strip().partition(";")
        quality = options.strip().removeprefix("q=") or "1"
        try:
            wanted.append((-float(quality), name.strip()))
        except ValueError:
            continue
    names = [name for weight, name in sorted(wanted, key=lambda each: each[0]) if weight < 0]
    return negotiate_locale(names, LANGUAGES, sep="-") or DEFAULT_LANGUAGE
