"""The template engine: one environment per language, everything escaped, unknown names are errors."""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.resources import resource
from app.web.i18n import translations, translator
from app.web.pages.formats import Formats


@cache
def environment(language: str) -> Environment:
    """The templates in a language (`en`, `fr`)."""
    made = Environment(
        loader=FileSystemLoader(resource("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=resource("templates").parent.name != "_resources",
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(Formats(language, translator(language)).filters())
    made.filters["tojson_text"] = _tojson_text
    made.globals["language"] = language
    return made


def _tojson_text(value: object) -> str:
    """JSON for a data attribute; the attribute's quoting is the template's."""
    return json.dumps(value, ensure_ascii=False)
