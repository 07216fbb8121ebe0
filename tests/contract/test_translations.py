"""Both languages are complete: every text has its French, nothing is left over, and placeholders agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from app.core import errors as errors_module
from app.web.i18n import translations, translator
from tests.contract.messages import Message, extracted
from tests.contract.sources import modules, name_of, tree

ROOT = Path(__file__).parents[2]
PO = ROOT / "app" / "locale" / "fr" / "LC_MESSAGES" / "vigie.po"
_PLACE = re.compile(r"%\((\w+)\)")


def _catalog() -> Catalog:
    with PO.open("rb") as source:
        return read_po(source, locale="fr")


def _known(catalog: Catalog) -> dict[Message, Message]:
    return {
        (item.id if isinstance(item.id, str) else (item.id[0], item.id[1])): item.string
        for item in catalog
        if item.id
    }


def test_every_text_has_its_french() -> None:
    known = _known(_catalog())
    known |= {
        item[0]: french for item, french in known.items() if isinstance(item, tuple)
    }  # one entry for both
    lacking = [item for item in extracted(ROOT) if not known.get(item) or not all(known[item])]
    assert sorted(lacking, key=str) == []


def test_nothing_is_fuzzy_or_left_over() -> None:
    catalog = _catalog()
    assert [item.id for item in catalog if item.id and item.fuzzy] == []
    assert dict(catalog.obsolete) == {}
    assert sorted(set(_known(catalog)) - extracted(ROOT), key=str) == []


def test_placeholders_agree() -> None:
    wrong = []
    for message, french in _known(_catalog()).items():
        wanted = set(_PLACE.findall("".join(message)))
        forms = (french,) if isinstance(french, str) else french
        wrong += [message for form in forms if set(_PLACE.findall(form)) - wanted]
        wrong += [
            message for form in forms if isinstance(message, str) and set(_PLACE.findall(form)) != wanted
        ]
    assert wrong == []


def test_french_signs_stand_after_spaces_that_do_not_break() -> None:
    texts = ["".join(french) for french in _known(_catalog()).values()]
    assert [text for text in texts if re.search(r" [;:?!»]|« ", text)] == []


def test_a_checkout_speaks_french_without_a_build() -> None:
    assert translator("fr")("Storage pools") == "Pools de stockage"
    assert translations("fr").ngettext("%(num)s host", "%(num)s hosts", 0) == "%(num)s hôte"


# Said on the terminal, in English, by commands and before there is anybody to translate for.
TERMINAL = ("app/cli/", "app/engine/process.py")


def _texts(call: ast.Call) -> list[ast.expr]:
    """What an error is made of that people read."""
    reported = call.args[1:2] if ast.unparse(call.func) == "InvalidInput" else call.args[:1]
    return [*reported, *(keyword.value for keyword in call.keywords if keyword.arg in ("why", "hint"))]


def test_texts_of_errors_are_marked() -> None:
    errors = {name for name, item in vars(errors_module).items() if isinstance(item, type)}
    bare = [
        f"{name_of(path)}:{text.lineno}"
        for path in modules()
        if not name_of(path).startswith(TERMINAL)
        for call in ast.walk(tree(path))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in errors
        for text in _texts(call)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    ]
    assert bare == []
