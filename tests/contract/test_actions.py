"""Every verb is complete: a privilege that exists, states, and a title in both languages."""

import pytest
from app.core.tasks.kinds import WORK
from app.engine.operations import OPERATIONS
from babel.messages.pofile import read_po

from app.core.access.privileges import PRIVILEGES
from app.core.vms.actions import VM_ACTIONS, VmVerb
from app.engine.tasks import TaskRuntime  # noqa: F401  it declares all operations
from tests.contract.sources import APP

FRENCH = sorted(APP.glob("locale/fr/LC_MESSAGES/*.po"))


@pytest.mark.parametrize("verb", VmVerb)
def test_a_verb_is_complete(verb: VmVerb) -> None:
    action = VM_ACTIONS[verb]
    assert action.verb is verb
    assert action.privilege in PRIVILEGES
    assert action.title
    assert action.states


def test_titles_differ() -> None:
    assert len({action.title for action in VM_ACTIONS.values()}) == len(VmVerb)


def test_titles_are_in_french() -> None:
    known = set()
    for path in FRENCH:
        with path.open("rb") as file:
            known |= {message.id for message in read_po(file) if message.string and not message.fuzzy}
    assert {action.title for action in VM_ACTIONS.values()} - known == set()


def test_each_kind_of_task_is_done_by_somebody() -> None:
    assert set(OPERATIONS) == {kind for kind, each in WORK.items() if not each.by_asker}
