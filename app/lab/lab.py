"""A lab as a whole: several KVM hosts on this machine, up and down."""

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self, Unpack
from uuid import uuid4

from app.lab import state as states
from app.lab.errors import LabError
from app.lab.guests import assets as asset_cache
from app.lab.guests.accelerator import detect_accelerator
from app.lab.guests.guest import GuestOptions, GuestSpec, domain_xml
from app.lab.hosts import files, namespace, network
from app.lab.hosts.host import LabHost
from app.lab.hosts.loops import wait_until_released
from app.lab.state import Accelerator, HostState, LabState
from app.lab.sweep import sweep

MAX_HOSTS = 60


class Lab:
    """Real KVM hosts in namespaces. `up` makes one, `attach` finds one, `down` removes every trace."""

    def __init__(self, state: LabState) -> None:
        self.state = state
        self.assets = asset_cache.open_assets(state.assets)
        self.hosts = [LabHost(state, host, self.assets) for host in state.hosts]

    @classmethod
    def up(
        cls,
        hosts: int = 3,
        base_dir: Path | None = None,
        *,
        lab_id: str | None = None,
        address_range: IPv4Network | None = None,
    ) -> Self:
        """Make a lab and return once every host answers (some seconds; a minute more the first time ever).

        Raises LabError when it cannot be made; nothing is left then.
        """
        require_root()
        if not 1 <= hosts <= MAX_HOSTS:
            raise LabError(f"A lab has 1 to {MAX_HOSTS} hosts, not {hosts}.")
        assets = asset_cache.prepare()
        accelerator = detect_accelerator(assets)
        with registry():
            state = _plan(
                hosts, base_dir, lab_id, address_range or default_range(), accelerator, assets.directory
            )
            network.close_range(state.address_range)
            state.save()
        lab = cls(state)
        try:
            lab._build()
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def attach(cls, lab_id: str | None = None, base_dir: Path | None = None) -> Self:
        """The lab with this id, under this directory, or the only one. LabError when none or several fit."""
        return cls(states.find_lab(lab_id, base_dir))

    def down(self) -> None:
        """End all hosts and remove every trace. No error when parts are gone already."""
        require_root()
        configs = [host.config_path for host in self.hosts] + [self._switch_config]
        _in_parallel([partial(_end, path) for path in configs])
        network.disconnect_machine(self.state)
        wait_until_released(self.state.data)
        shutil.rmtree(self.state.data, ignore_errors=True)
        with registry():
            shutil.rmtree(self.state.run, ignore_errors=True)
            sweep()

    def host(self, name: str) -> LabHost:
        """The host of this name. Raises LabError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(
            f"This lab has no host {name!r}; it has {', '.join(host.name for host in self.hosts)}."
        )

    def domain_xml(self, name: str, **options: Unpack[GuestOptions]) -> str:
        """XML of a guest that boots on these hosts. Its disk must be made before it can start."""
        return domain_xml(GuestSpec(name=name, accelerator=self.state.accelerator, **options))

    def restore(self) -> None:
        """Undo every fault of every host."""
        _in_parallel([host.restore for host in self.hosts])

    def remove_guests(self) -> None:
        """Remove every VM and disk of every host, so that a next test finds an empty lab."""
        for host in self.hosts:
            host.remove_guests()

    @property
    def _switch_config(self) -> Path:
        return self.state.run / "switch.json"

    def _build(self) -> None:
        self.state.data.mkdir(parents=True)
        files.prepare_lab_files(self.state)
        switch = namespace.start(self._switch_config, {"name": "switch"}, self.state.data / "switch.log")
        network.connect_machine(self.state, switch)

        def bring_up(host: LabHost) -> None:
            files.prepare_host_files(self.state, host.host)
            host.boot()

        _in_parallel([partial(bring_up, host) for host in self.hosts])


def require_root() -> None:
    """Raises LabError for anybody but root."""
    if os.geteuid() != 0:
        raise LabError("The lab needs root, for namespaces and mounts; run: sudo vigie lab …")


def default_range() -> IPv4Network:
    """VIGIE_LAB_RANGE, or the benchmark range. LabError when that is no network of /24 or more."""
    text = os.environ.get("VIGIE_LAB_RANGE")
    if not text:
        return states.DEFAULT_RANGE
    return parse_range(text)


def parse_range(text: str) -> IPv4Network:
    """An address range as people write it. Raises LabError when it is none, or smaller than a /24."""
    try:
        chosen = IPv4Network(text)
    except ValueError as error:
        raise LabError(f"{text!r} is no IPv4 network: {error}. Write it like 198.18.0.0/15.") from error
    if chosen.prefixlen > 24:
        raise LabError(f"{text} is too small: a lab takes a /24 of its range.")
    return chosen


def _plan(
    hosts: int,
    base_dir: Path | None,
    lab_id: str | None,
    address_range: IPv4Network,
    accelerator: Accelerator,
    assets: Path,
) -> LabState:
    """The state of a lab that is to be made: an id, a subnet and identities that no other has."""
    identity = states.new_id(lab_id)
    subnet = states.free_subnet(address_range)
    return LabState(
        id=identity,
        created_at=states.now(),
        data=(base_dir or states.DATA_ROOT).resolve() / f"lab-{identity}",
        address_range=address_range,
        subnet=subnet,
        accelerator=accelerator,
        assets=assets,
        hosts=[_new_host(subnet, number) for number in range(1, hosts + 1)],
    )


def _new_host(subnet: IPv4Network, number: int) -> HostState:
    address = network.host_address(subnet, number)
    return HostState(number=number, name=f"kvm-{number:02d}", uuid=str(uuid4()), address=address)


@contextmanager
def registry() -> Iterator[None]:
    """Hold the lock under which labs come and go."""
    with asset_cache.locked(states.RUN_ROOT / "lock"):
        yield


def _end(config_path: Path) -> None:
    pid = namespace.find(config_path)
    if pid is not None:
        namespace.kill(pid)


def _in_parallel(jobs: list[Callable[[], None]]) -> None:
    """Do all jobs at once; when some fail, raise the first error after all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        futures = [pool.submit(job) for job in jobs]
    for future in futures:
        future.result()
