"""The component gallery shows every macro that several pages share, with every argument that changes its look."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from jinja2 import Environment, nodes

from tests.contract.sources import ROOT

TEMPLATES = ROOT / "templates"
SHARED = (
    "_macros/ui.html",
    "_macros/actions.html",
    "_macros/forms.html",
    "_macros/tables.html",
    "_list/parts.html",
)
GALLERY = "gallery/show.html"
# What no look depends on: names, addresses and what scripts need.
UNSEEN = {"id", "name", "attrs", "class", "url", "href", "target", "value", "type"}


def _parsed(name: str) -> nodes.Template:
    return Environment(extensions=["jinja2.ext.i18n"]).parse((TEMPLATES / name).read_text())


def _macros(name: str) -> dict[str, list[str]]:
    """Public macros of a template with their parameters."""
    found = _parsed(name).find_all(nodes.Macro)
    return {macro.name: [arg.name for arg in macro.args] for macro in found if not macro.name.startswith("_")}


def _imports(template: nodes.Template) -> dict[str, str]:
    """The template behind each name that is imported."""
    return {
        item.target: item.template.value
        for item in template.find_all(nodes.Import)
        if isinstance(item.template, nodes.Const)
    }


def _calls(template: nodes.Template) -> Iterator[tuple[str, str, nodes.Call]]:
    """Template, macro and call of every macro that a template calls by its import."""
    imports = _imports(template)
    for call in template.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and isinstance(call.node.node, nodes.Name):
            source = imports.get(call.node.node.name)
            if source is not None:
                yield source, call.node.attr, call


@pytest.mark.parametrize("source", SHARED)
def test_the_gallery_has_every_macro_with_every_argument(source: str) -> None:
    macros = _macros(source)
    given: dict[str, set[str]] = defaultdict(set)
    for where, macro, call in _calls(_parsed(GALLERY)):
        if where == source and macro in macros:
            given[macro] |= set(macros[macro][: len(call.args)]) | {kwarg.key for kwarg in call.kwargs}
    missing = {
        macro: sorted(set(parameters) - given[macro] - UNSEEN)
        for macro, parameters in macros.items()
        if macro not in given or set(parameters) - given[macro] - UNSEEN
    }
    assert missing == {}
