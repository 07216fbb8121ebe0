"""Labs for tests: import the fixtures of this module in a conftest.py.

`lab` is one lab of three hosts for the whole session; it starts when a test first asks for it.
`fresh_lab` is the same lab, without guests and faults, for a test that makes some. `make_fleet` makes fleets.
"""

import os
import re
from collections.abc import Callable, Iterator

import pytest

from app.lab import state as states
from app.lab.fleet import Fleet
from app.lab.lab import Lab
from tests.laborder import LabOrder

HOSTS = 3


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three KVM hosts, shared by all tests of the session."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: run the tests with sudo")
    _remove_orphans()
    made = Lab.up(HOSTS, lab_id=f"t{os.getpid()}")
    yield made
    made.down()


@pytest.fixture(scope="session")
def lab_order(lab: Lab) -> LabOrder:
    """Pools and networks of the lab as they were when it was made."""
    return LabOrder(lab)


@pytest.fixture
def fresh_lab(lab: Lab, lab_order: LabOrder) -> Iterator[Lab]:
    """The session's lab in good health and empty.

    Afterwards faults are healed and guests removed. A test that leaves pools or networks otherwise than it found them
    fails by itself: they are put right, so that those after it are not to blame.
    """
    yield lab
    lab.restore()
    lab.remove_guests()
    left = lab_order.put_right()
    if left:
        pytest.fail("the test did not leave the lab as it found it: " + "; ".join(left))


@pytest.fixture
def make_fleet() -> Iterator[Callable[..., Fleet]]:
    """A function with the arguments of `Fleet.up`; what it makes ends with the test."""
    made: list[Fleet] = []

    def make(hosts: int, vms: int = 18, *, victims: int = 0, frozen: bool = False) -> Fleet:
        made.append(Fleet.up(hosts, vms, victims=victims, frozen=frozen))
        return made[-1]

    yield make
    for fleet in made:
        fleet.down()


def _remove_orphans() -> None:
    """Remove the labs of test sessions that were killed: their ids say which process made them."""
    for state in states.all_labs():
        maker = re.fullmatch(r"t(\d+)", state.id)
        if maker and not os.path.exists(f"/proc/{maker.group(1)}"):
            Lab(state).down()
