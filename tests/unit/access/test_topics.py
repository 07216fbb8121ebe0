"""Live notices: objects and lists that one may see, and nothing that the program tells itself."""

from app.access.context import Actor
from app.access.topics import visible_topics
from app.core.access.privileges import Role
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import HOSTS, SCREENSHOT_WANTED, USER_ACCESS, VOLUMES, WORK

VM, CREDENTIAL = new_id(ObjectKind.VM), new_id(ObjectKind.CREDENTIAL)
POOL = new_id(ObjectKind.POOL)
TALK = {WORK, HOSTS, f"{SCREENSHOT_WANTED}{VM}", f"{VOLUMES}{POOL}", f"{USER_ACCESS}user_b"}


def heard(role: Role) -> list[str]:
    actor = Actor("user_a", "ann", role, "page")
    return visible_topics(actor, {VM, f"screenshot-taken:{VM}", CREDENTIAL, "tree", "tasks", "events", *TALK})


def test_what_may_be_seen_is_heard() -> None:
    assert heard(Role.VIEWER) == sorted(["events", f"screenshot-taken:{VM}", "tasks", "tree", VM])


def test_who_may_see_more_hears_more() -> None:
    assert set(heard(Role.ADMINISTRATOR)) - set(heard(Role.VIEWER)) == {CREDENTIAL}
