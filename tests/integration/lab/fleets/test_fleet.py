"""Simulated fleets answer like hosts, and their victims can hang or die."""

from collections import Counter
from collections.abc import Callable

import pytest

from app.lab.errors import LabError
from app.lab.fleets.fleet import Fleet, all_fleets
from app.lab.process import run


def virsh(uri: str, *arguments: str, timeout_s: float = 10) -> str:
    """What virsh says of a simulated host."""
    return run(["virsh", "-q", "-c", uri, *arguments], timeout_s=timeout_s).stdout


def test_fleet(make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(12, 18, victims=2)
    states = Counter(
        line.split(maxsplit=2)[2].strip() for line in virsh(fleet.uri(1), "list", "--all").splitlines()
    )
    assert states == {"running": 13, "shut off": 4, "paused": 1}
    uuids = {uuid for uri in fleet.uris() for uuid in virsh(uri, "list", "--all", "--uuid").split()}
    assert len(uuids) == 12 * 18
    assert len(virsh(fleet.uri(3), "vol-list", "local").splitlines()) == 18
    fleet.freeze()
    with pytest.raises(LabError, match="did not end"):
        virsh(fleet.uri(12), "list", timeout_s=0.5)
    assert virsh(fleet.uri(10), "list")
    fleet.thaw()
    assert virsh(fleet.uri(12), "list")
    fleet.kill()
    with pytest.raises(LabError, match="refused"):
        virsh(fleet.uri(11), "list")
    fleet.start()
    assert virsh(fleet.uri(11), "list")
    fleet.down()
    assert not fleet.state.directory.exists()
    assert fleet.state.id not in [state.id for state in all_fleets()]
