"""Labs for tests.

`lab` is one lab of three hosts for the whole session; it starts when a test first asks for it. `fresh_lab` is the same
lab, for a test that makes guests and volumes: they are removed after it; `faulty_lab` undoes faults as well.
`make_fleet` makes fleets.

After each test and after each module the lab is compared with what it was before. Whoever left it otherwise fails, and
it is healed, so that those after it are not to blame.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator

import pytest

from app.lab import state as states
from app.lab.fleets.fleet import Fleet, all_fleets
from app.lab.lab import Lab
from tests.labcheck import heal_lab, read_lab

HOSTS = 3
_numbers = itertools.count(1)
_failed = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three KVM hosts, shared by all tests of the session."""
    if os.geteuid() != 0:
        pytest.skip("the lab needs root: run the tests with sudo")
    remove_orphans()
    created = Lab.up(HOSTS, lab_id=f"t{os.getpid()}")
    yield created
    created.down()


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """The session's lab, for a test that makes guests and volumes: they are removed after it."""
    return lab


@pytest.fixture
def faulty_lab(fresh_lab: Lab) -> Iterator[Lab]:
    """As `fresh_lab`, for a test that ends in the middle of a fault: all of `Faults` are undone after it."""
    yield fresh_lab
    fresh_lab.restore()


@pytest.fixture(autouse=True)
def _lab_is_left_as_found(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up before everything else of a test, so it compares when all of that is gone."""
    if "lab" not in request.fixturenames:
        yield
        return
    lab: Lab = request.getfixturevalue("lab")
    before = read_lab(lab)
    yield
    wrong = heal_lab(lab, before, guests_may_be_left="fresh_lab" in request.fixturenames)
    # A test that failed half-way has no fault in what it could not undo.
    if wrong and not request.node.stash.get(_failed, False):
        pytest.fail("the test did not leave the lab as it found it: " + "; ".join(wrong), pytrace=False)


@pytest.fixture(scope="module", autouse=True)
def _lab_is_left_as_found_by_the_module(request: pytest.FixtureRequest) -> Iterator[None]:
    """The same for what serves several tests: the fixtures of a module."""
    if not any("lab" in item.fixturenames for item in _items_of(request)):
        yield
        return
    lab: Lab = request.getfixturevalue("lab")
    before = read_lab(lab)
    yield
    wrong = heal_lab(lab, before, guests_may_be_left=False)
    if wrong:
        pytest.fail("the module did not leave the lab as it found it: " + "; ".join(wrong), pytrace=False)


def _items_of(request: pytest.FixtureRequest) -> Iterator[pytest.Function]:
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path:
            yield item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember whether the test itself failed."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture
def make_fleet() -> Iterator[Callable[..., Fleet]]:
    """A function with the arguments of `Fleet.up`; what it makes ends with the test."""
    requested: list[Fleet] = []

    def make(hosts: int, vms: int = 18, *, victims: int = 0, frozen: bool = False) -> Fleet:
        requested.append(own_fleet(hosts, vms, victims=victims, frozen=frozen))
        return requested[-1]

    yield make
    for fleet in requested:
        fleet.down()


def own_fleet(hosts: int, vms: int, *, victims: int = 0, frozen: bool = False) -> Fleet:
    """A fleet whose id says that this process made it. Whoever calls this ends it."""
    remove_orphans()
    name = f"t{os.getpid()}-{next(_numbers)}"
    return Fleet.up(hosts, vms, victims=victims, frozen=frozen, fleet_id=name)


def remove_orphans() -> None:
    """Remove labs and fleets of test sessions that were killed: their ids say which process made them."""
    for lab in states.all_labs():
        if _is_orphan(lab.id):
            Lab(lab).down()
    for fleet in all_fleets():
        if _is_orphan(fleet.id):
            Fleet(fleet).down()


def _is_orphan(identity: str) -> bool:
    maker = re.fullmatch(r"t(\d+)(-\d+)?", identity)
    return maker is not None and not os.path.exists(f"/proc/{maker.group(1)}")
