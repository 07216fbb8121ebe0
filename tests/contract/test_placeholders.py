"""The placeholders of a message are the parameters that it is given, wherever the code has both in one place.

In one call, or on both sides of a `%`: messages by `N_` or by a constant of the module, parameters as a dictionary or as
keywords of the same names. In templates: the arguments of `_` and `ngettext`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from jinja2 import Environment, nodes

from app.core import errors
from tests.contract.sources import ROOT, modules, name_of, tree

PLACEHOLDER = re.compile(r"%\((\w+)\)")
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)} | {"TaskFailed", "Refusal"}
_ENVIRONMENT = Environment(extensions=["jinja2.ext.i18n"])


def placeholders(messages: Iterable[str]) -> set[str]:
    """The names in all of these messages."""
    return {name for message in messages for name in PLACEHOLDER.findall(message)}


def called(call: ast.Call) -> str:
    """The last part of a function's name."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def constants(module: ast.Module) -> dict[str, str]:
    """The messages that a module gives names."""
    return {
        target.id: message
        for item in module.body
        if isinstance(item, ast.Assign)
        for message in messages_of(item.value, {})
        for target in item.targets
        if isinstance(target, ast.Name)
    }


def messages_of(expression: ast.expr, known: dict[str, str]) -> list[str]:
    """The messages that an expression may be."""
    match expression:
        case ast.Call(func=ast.Name(id="N_"), args=[ast.Constant(value=str(message)), *_]):
            return [message]
        case ast.Name(id=name) if name in known:
            return [known[name]]
        case ast.IfExp(body=body, orelse=orelse):
            return [*messages_of(body, known), *messages_of(orelse, known)]
        case ast.Call(func=ast.Attribute(attr="translate"), args=[message]):
            return messages_of(message, known)
    return []


def keys_of(expression: ast.expr) -> set[str] | None:
    """The keys of a dictionary that is written out; None for anything else."""
    if not isinstance(expression, ast.Dict):
        return None
    keys = [key.value for key in expression.keys if isinstance(key, ast.Constant)]
    return {str(key) for key in keys} if len(keys) == len(expression.keys) else None


def differences(module: ast.Module) -> Iterator[tuple[int, bool]]:
    """Line, and whether placeholders and parameters agree, of each place that has both."""
    known = constants(module)
    for item in ast.walk(module):
        if isinstance(item, ast.BinOp) and isinstance(item.op, ast.Mod):
            given = keys_of(item.right)
            if (messages := messages_of(item.left, known)) and given is not None:
                yield item.lineno, all(placeholders([message]) == given for message in messages)
        elif isinstance(item, ast.Call) and called(item) != "N_":
            agree = _in_call(item, known)
            if agree is not None:
                yield item.lineno, agree


def _in_call(call: ast.Call, known: dict[str, str]) -> bool | None:
    """Whether the messages of a call (title, why, hint) use exactly its parameters; None where that cannot be read."""
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    messages = [message for value in values for message in messages_of(value, known)]
    named = {keyword.arg for keyword in call.keywords}
    parameters = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "params")]
    given = [keys for value in parameters if (keys := keys_of(value)) is not None]
    wanted = placeholders(messages)
    if not messages or None in named:
        return None
    if len(given) == 1:
        return wanted <= given[0] if _has_texts_elsewhere(call, known) else wanted == given[0]
    if called(call) in ERRORS:
        return "params" in named or wanted <= named
    return True if wanted and wanted <= named else None


def _has_texts_elsewhere(call: ast.Call, known: dict[str, str]) -> bool:
    """Whether a reason or a hint comes from another place, and may use parameters too."""
    texts = [keyword.value for keyword in call.keywords if keyword.arg in ("why", "hint")]
    return any(not messages_of(text, known) for text in texts)


def in_template(source: str) -> Iterator[tuple[int, bool]]:
    """Line, and whether placeholders and arguments agree, of each text of a template."""
    for call in _ENVIRONMENT.parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in ("_", "gettext", "ngettext"):
            texts = [item.value for item in call.args if isinstance(item, nodes.Const)]
            wanted = placeholders(text for text in texts if isinstance(text, str))
            given = {keyword.key for keyword in call.kwargs}
            if texts:
                yield call.lineno, wanted - {"num"} == given - {"num"}


def test_parameters_in_code_fit_their_messages() -> None:
    found = [(name_of(path), *place) for path in modules() for place in differences(tree(path))]
    assert len(found) > 200
    assert [f"{name}:{line}" for name, line, agree in found if not agree] == []


def test_arguments_in_templates_fit_their_texts() -> None:
    sources = {path: path.read_text() for path in sorted(ROOT.glob("templates/**/*.html"))}
    found = [(name_of(path), *place) for path, source in sources.items() for place in in_template(source)]
    assert len(found) > 1000
    assert [f"{name}:{line}" for name, line, agree in found if not agree] == []


def test_what_does_not_fit_is_found() -> None:
    code = """
MORE = N_("%(count)d more.")
raise Conflict(N_("No %(name)s."), why=N_("It has %(size)d."), params={"name": 1})
raise NotFound(N_("No %(name)s."))
say(MORE, {"count": 1}) + ctx.translate(MORE) % {"number": 1}
raise Conflict(N_("No %(name)s."), params={"name": 1})
"""
    found = sorted(differences(ast.parse(code)))
    assert found == [(3, False), (4, False), (5, False), (5, True), (6, True)]
    assert list(in_template('{{ _("%(a)s", a=1) }}{{ _("%(a)s", b=1) }}')) == [(1, True), (1, False)]
