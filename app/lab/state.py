"""What the lab writes down about itself before it makes anything, so that all of it can be removed."""

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from app.lab.errors import LabError

RUN_ROOT = Path("/run/vigie-lab")
DATA_ROOT = Path("/var/lib/vigie-lab")
STATE_FILE = "state.json"
# 198.18.0.0/15 is set aside for benchmarks of network devices (RFC 2544): no real host has such an address.
DEFAULT_RANGE = IPv4Network("198.18.0.0/15")
ID_PATTERN = re.compile(r"[a-z0-9]{1,8}")

Accelerator = Literal["kvm", "qemu"]


class HostState(BaseModel):
    """Identity of one host; it outlives a crash of that host."""

    number: int = Field(ge=1)
    name: str
    uuid: str
    address: IPv4Address


class LabState(BaseModel):
    """One lab. `accelerator` is the domain type that boots here; `data` holds disks, keys and logs."""

    id: str
    created_at: datetime
    data: Path
    address_range: IPv4Network
    subnet: IPv4Network
    accelerator: Accelerator
    assets: Path
    hosts: list[HostState]

    @property
    def run(self) -> Path:
        """Directory of sockets and of this state; short, because a socket's path may have 107 characters."""
        return RUN_ROOT / self.id

    @property
    def machine_address(self) -> IPv4Address:
        """The address of the machine itself in the lab's network."""
        return self.subnet.network_address + 254

    def save(self) -> None:
        """Write the state so that a reader sees the old or the new, never a part."""
        self.run.mkdir(parents=True, exist_ok=True)
        scratch = self.run / f".{STATE_FILE}.{os.getpid()}"
        scratch.write_text(self.model_dump_json(indent=2) + "\n")
        scratch.rename(self.run / STATE_FILE)


def all_labs() -> list[LabState]:
    """Every lab that is written down on this machine, running or not, oldest first."""
    states = []
    for path in RUN_ROOT.glob(f"*/{STATE_FILE}"):
        # What does not read as a state is of another version, or gone since: `sweep` removes such leftovers.
        with suppress(OSError, ValidationError):
            states.append(LabState.model_validate_json(path.read_text()))
    return sorted(states, key=lambda state: state.created_at)


def choose_labs(
    lab_id: str | None = None, directory: Path | None = None, *, everything: bool = False
) -> list[LabState]:
    """The labs with this id, or under this directory, or the only one there is, or all; none is no error.

    Raises LabError when several are up and nothing says which.
    """
    found = [
        state
        for state in all_labs()
        if (lab_id is None or state.id == lab_id)
        and (directory is None or state.data.parent == directory.resolve())
    ]
    if len(found) > 1 and not everything:
        raise LabError(f"Several labs are up; choose with --id: {', '.join(state.id for state in found)}.")
    return found


def find_lab(lab_id: str | None = None, directory: Path | None = None) -> LabState:
    """The lab with this id, or under this directory, or the only one. LabError when none or several fit."""
    found = choose_labs(lab_id, directory)
    if not found:
        raise LabError("There is no such lab; `vigie lab status` lists labs, `vigie lab up` makes one.")
    return found[0]


def new_id(wanted: str | None) -> str:
    """A lab id that is free. Raises LabError when the wanted one is malformed or taken."""
    taken = {path.name for path in RUN_ROOT.glob("*")}
    if wanted is None:
        return next(name for name in iter(lambda: secrets.token_hex(2), "") if name not in taken)
    if not ID_PATTERN.fullmatch(wanted):
        raise LabError(f"{wanted!r} is no lab id; use up to 8 lower-case letters and digits.")
    if wanted in taken:
        raise LabError(
            f"There is a lab {wanted} already; take another --id or run `vigie lab down --id {wanted}`."
        )
    return wanted


def free_subnet(address_range: IPv4Network) -> IPv4Network:
    """The first /24 of the range that no lab has. Raises LabError when all are taken."""
    taken = {state.subnet for state in all_labs()}
    for subnet in address_range.subnets(new_prefix=24):
        if subnet not in taken:
            return subnet
    raise LabError(f"Every subnet of {address_range} has a lab; run `vigie lab down` on one of them.")


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)
