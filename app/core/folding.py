"""One way to compare text that people write: names that differ only in case or in form are the same name."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Return the form under which names are unique and text is searched: compatibility-composed, case-folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
