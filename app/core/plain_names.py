"""What a name may hold: what people can see and type, in one form.

https://www.unicode.org/reports/tr36/ and https://www.unicode.org/reports/tr39/
"""

from __future__ import annotations

import unicodedata

from app.core.messages import N_

# Letters, marks and symbols that show nothing, beside the characters of the categories below.
_INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),  # grapheme joiner
        (0x115F, 0x1160),  # fillers of Hangul
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x2800, 0x2800),  # blank Braille
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),  # variation selectors
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
# Control, format (direction marks, zero width), halves of pairs, unassigned; separators of lines and paragraphs.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})


def plain_name(text: str) -> str:
    """The name as it is kept: compatibility-composed (NFKC) and trimmed.

    Raises ValueError for control characters, direction marks and what shows nothing.
    """
    name = unicodedata.normalize("NFKC", text.strip(" ")).strip(" ")
    if any(
        item in _INVISIBLE or unicodedata.category(item) in _REFUSED for item in (*text.strip(" "), *name)
    ):
        raise ValueError(N_("must not contain control characters, direction marks or invisible characters"))
    return name
