"""XML in colours: split into marked pieces of text, which the template escapes one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_PIECES = re.compile(
    r"(?P<comment><!--.*?-->)"
    r"|(?P<tag></?[^\s<>/]+|/?>)"
    r"|(?P<name>[^\s=<>\"'/]+)(?==[\"'])"
    r"|(?P<value>\"[^\"<]*\"|'[^'<]*')"
    r"|(?P<text>[^<>\"'=]+|.)",
    re.DOTALL,
)


def pieces(xml: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) so that the texts together are the XML: comment, tag, name, value; empty for plain text."""
    inside = False  # quotes and equal signs mean something only inside a tag
    for match in re.finditer(r"<!--.*?-->|<[^>]*>|[^<]+|<", xml, re.DOTALL):
        chunk = match.group()
        inside = chunk.startswith("<") and not chunk.startswith("<!--")
        if not inside:
            yield ("comment" if chunk.startswith("<!--") else ""), chunk
            continue
        for piece in _PIECES.finditer(chunk):
            yield (piece.lastgroup or "").removesuffix("text"), piece.group()
