"""Every text of the program that people read, as gettext finds it in the sources and templates."""

from __future__ import annotations

from pathlib import Path

from babel.messages.extract import extract_from_dir

Message = str | tuple[str, str]

KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
_TEMPLATES = {
    "**.html": {
        "extensions": "jinja2.ext.i18n",
        "trim_blocks": "true",
        "newstyle_gettext": "true",
        "silent": "false",
    }
}


def extracted(root: Path) -> set[Message]:
    """The message ids below `root`; those with a plural as a pair. Folders with an underscore count, too."""
    found: set[Message] = set()
    for folder, method, options in (
        (root / "app", [("**.py", "python")], {}),
        (root / "templates", [("**.html", "jinja2")], _TEMPLATES),
    ):
        every = extract_from_dir(folder, method, options, KEYWORDS, directory_filter=lambda _folder: True)
        for _file, _line, message, _comments, _context in every:
            found.add(message if isinstance(message, str) else (message[0], message[1]))
    return found - {""}
