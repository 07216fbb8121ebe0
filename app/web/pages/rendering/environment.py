"""The template engine: one environment per language, everything escaped, unknown names are errors."""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.runtime import Macro

from app.resources import resource
from app.web.i18n import translations, translator
from app.web.pages.rendering import components, verb_buttons
from app.web.pages.rendering.field_labels import label
from app.web.pages.rendering.formats import Formats
from app.web.pages.rendering.select_options import Options
from app.web.pages.rendering.titles import Titles

MAX_KEPT = 10_000


@cache
def environment(language: str) -> Environment:
    """The templates in a language (`en`, `fr`)."""
    created = Environment(
        loader=FileSystemLoader(resource("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=resource("templates").parent.name != "_resources",
        extensions=["jinja2.ext.i18n"],
    )
    created.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    translate = translator(language)
    formats = Formats(language, translate)
    created.filters.update(formats.filters())
    created.filters.update(
        badge=components.badge,
        button_class=components.button_class,
        first_few=components.first_few,
        options=Options(formats),
        reason=verb_buttons.reason,
        sorting=components.sorting,
        titled=Titles(translate),
        url_of=components.url_of,
        verb_button=verb_buttons.VerbButtons(translate),
        verb_title=verb_buttons.verb_title,
    )
    created.filters["tojson_text"] = _tojson_text
    created.filters["label"] = label
    created.filters["kept"] = _Kept()
    created.globals["language"] = language
    created.globals["day_unit"] = formats.day_unit
    return created


class _Kept:
    """Calls a macro, or hands out what it gave for the same arguments: `{{ ui.state|kept(vm.state) }}`.

    For small parts of `_macros/ui.html` and `_list/parts.html` that come again and again in the rows of a list. What
    they give must follow from their name, which no other kept macro may have, the arguments and the language alone.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[object, ...], str] = {}

    def __call__(self, macro: Macro, *arguments: object) -> str:
        key = (macro.name, *arguments)
        part = self._parts.get(key)
        if part is None:
            if len(self._parts) >= MAX_KEPT:
                self._parts.clear()
            part = self._parts[key] = macro(*arguments)
        return part

    def __len__(self) -> int:
        return len(self._parts)


def _tojson_text(value: object) -> str:
    """JSON for a data attribute; the attribute's quoting is the template's."""
    return json.dumps(value, ensure_ascii=False)
