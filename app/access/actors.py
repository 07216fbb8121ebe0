"""Who acts when a task begins: whoever submitted it, with the rights that they have by then."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.access.context import Actor
from app.core.access.privileges import Role
from app.core.errors import NotAllowed
from app.core.messages import N_
from app.db.models import User


def actor_of(session: Session, user_id: str | None, name: str) -> Actor:
    """Whoever submitted a task, with the rights that they have now; None stands for Vigie and its command line.

    Raises NotAllowed when the user was removed or disabled since.
    """
    if user_id is None:
        return Actor(None, name, Role.ADMINISTRATOR, "system")
    user = session.get(User, user_id)
    if user is None or user.disabled:
        raise NotAllowed(
            N_("Whoever started this may not do it any more."),
            why=N_("The user %(name)s was removed or disabled before the task began."),
            hint=N_("Do it again as another user if it is still needed."),
            params={"name": name},
        )
    return Actor(user.id, user.name, Role(user.role), "system")
