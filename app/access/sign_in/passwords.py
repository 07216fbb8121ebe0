"""Which passwords are good enough."""

from __future__ import annotations

from zxcvbn_rs_py import zxcvbn

from app.core.errors import InvalidInput
from app.core.messages import N_

# zxcvbn's scale is 0 to 4; 3 means more than a hundred million guesses by somebody who knows the usual lists,
# keyboard patterns, dates and repetitions.
ENOUGH = 3


def require_strong(field: str, password: str, *, about: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput (weak_password), naming the field, for a common password, a short pattern and the like.

    `about` are words that somebody who guesses would try first, such as the user's name.
    """
    try:
        score = int(zxcvbn(password, [*about, "vigie"]).score)
    except UnicodeEncodeError:  # half of a surrogate pair
        raise InvalidInput(field, N_("must be text")) from None
    if score < ENOUGH:
        raise InvalidInput(
            field,
            N_("is too easy to guess: a common password, or a short pattern"),
            hint=N_(
                "Use four or more words that do not belong together, or let a password manager make one."
            ),
            code="weak_password",
        )
