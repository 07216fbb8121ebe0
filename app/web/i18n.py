"""Texts in the reader's language: gettext catalogues of app/locale, English where nothing better is known."""

from __future__ import annotations

import gettext
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES = ("en", "fr")
DEFAULT_LANGUAGE = "en"
LOCALES = Path(__file__).parent.parent / "locale"
DOMAIN = "vigie"

Translate = Callable[[str], str]


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The catalogue of a language; unknown languages and English give the message ids themselves."""
    folder = LOCALES / (language if language in LANGUAGES else DEFAULT_LANGUAGE) / "LC_MESSAGES"
    source, compiled = folder / f"{DOMAIN}.po", folder / f"{DOMAIN}.mo"
    if not source.is_file():
        return gettext.NullTranslations()
    if compiled.is_file() and compiled.stat().st_mtime >= source.stat().st_mtime:
        with compiled.open("rb") as built:
            return gettext.GNUTranslations(built)
    return _read_source(source)  # a checkout that was edited since it was built


def _read_source(source: Path) -> gettext.NullTranslations:
    binary = io.BytesIO()
    with source.open("rb") as texts:
        write_mo(binary, read_po(texts))
    binary.seek(0)
    return gettext.GNUTranslations(binary)


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
    names = [name for weight, name in sorted(wanted, key=lambda row: row[0]) if weight < 0]
    return negotiate_locale(names, LANGUAGES, sep="-") or DEFAULT_LANGUAGE
