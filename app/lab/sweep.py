"""Remove what no lab on record owns: leftovers of a crash, of a reboot, or of another version of the lab."""

import json
import shutil

from app.lab.hosts import namespace, network
from app.lab.process import run
from app.lab.state import DATA_ROOT, RUN_ROOT, all_labs

# Under RUN_ROOT, but not a lab.
OTHERS = ("fleets", "lock")


def sweep() -> None:
    """Remove processes, cables, routes and directories without a lab. Hold the registry's lock."""
    labs = all_labs()
    known = {lab.id for lab in labs}
    for path in list(RUN_ROOT.iterdir()) if RUN_ROOT.is_dir() else []:
        if path.name not in known and path.name not in OTHERS:
            for config in path.glob("*.json"):
                pid = namespace.find(config)
                if pid is not None:
                    namespace.kill(pid)
            shutil.rmtree(path, ignore_errors=True)
    for path in DATA_ROOT.glob("lab-*"):
        if path.name.removeprefix("lab-") not in known:
            shutil.rmtree(path, ignore_errors=True)
    if DATA_ROOT.is_dir() and not any(DATA_ROOT.iterdir()):
        DATA_ROOT.rmdir()
    cables = {network.machine_cable(lab) for lab in labs}
    for link in json.loads(run(["ip", "-json", "link", "show", "type", "veth"]).stdout or "[]"):
        if link["ifname"].startswith(network.CABLE_PREFIX) and link["ifname"] not in cables:
            run(["ip", "link", "del", link["ifname"]], check=False)
    network.remove_routes_but(labs)
