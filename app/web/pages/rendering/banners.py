"""Banners for errors that no control of a form shows: no form is silent."""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import Environment

from app.web.pages.rendering.field_labels import label
from app.web.pages.rendering.forms import Shown

ANYWHERE = (
    "<!--banner-->"  # the beginning of a page's main part, for forms whose template has no place of its own
)


def with_banners(templates: Environment, html: str, forms: Iterable[Shown]) -> str:
    """The page with a banner for each form that has errors which it did not show."""
    for form in forms:
        place = f"<!--{form.key}-->"  # text of others cannot look like it: it is escaped
        has_place = place in html
        problem = None if has_place else form.problem
        if form.unshown or problem:
            banner = _banner(templates, form, problem)
            html = html.replace(place if has_place else ANYWHERE, banner, 1)
    return html


def _banner(templates: Environment, form: Shown, problem: object) -> str:
    message = [(label(name), text) for name, text in form.unshown.items()]
    return templates.get_template("_shell/banner.html").render(errors=message, problem=problem)
