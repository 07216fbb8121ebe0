"""One way to compare text that people write: names that differ only in case or in form are the same name."""

from __future__ import annotations

import re
import unicodedata

_PAIRS = re.compile(r"[0-9a-f]{1,2}(-[0-9a-f]{2})*-?[0-9a-f]?")
_QUADS = re.compile(r"[0-9a-f]{4}(\.[0-9a-f]{4})*\.?[0-9a-f]{0,3}")
_BARE = re.compile(r"[0-9a-f]{6,12}")
_UUID = re.compile(r"[0-9a-f]{32}")


def fold(text: str) -> str:
    """Return the form under which names are unique and text is searched: compatibility-composed, case-folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def spellings(text: str) -> tuple[str, ...]:
    """Return the folded text, and as Vigie keeps it what may be a part of a MAC address or a UUID.

    MAC addresses are kept as 52:54:00:ab:cd:ef; people also write 52-54-00-ab-cd-ef, 5254.00ab.cdef, 525400abcdef,
    and the end of one, of which nobody can tell where its pairs begin.
    """
    folded = fold(text)
    found = [folded]
    if "-" in folded and _PAIRS.fullmatch(folded):
        found.append(folded.replace("-", ":"))
    elif "." in folded and _QUADS.fullmatch(folded):
        found.append(_paired(folded.replace(".", ""), 0))
    elif _BARE.fullmatch(folded):
        found += [_paired(folded, first) for first in ((0,) if len(folded) == 12 else (0, 1))]
    elif _UUID.fullmatch(folded):
        found.append("-".join((folded[:8], folded[8:12], folded[12:16], folded[16:20], folded[20:])))
    return tuple(found)


def _paired(digits: str, first: int) -> str:
    """The digits in pairs between colons, the first group of so many (none: a pair)."""
    rest = [digits[at : at + 2] for at in range(first, len(digits), 2)]
    return ":".join([digits[:first], *rest] if first else rest)
