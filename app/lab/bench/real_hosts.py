"""The benchmark on real KVM hosts: how soon a browser shows what happens, and what a sick host does to others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.lab.bench.answers import server_times
from app.lab.bench.measure import Spread, until
from app.lab.bench.servers import serving_lab
from app.lab.errors import LabError
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.rest import Rest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path("/usr/bin/chromium")
# The promise resolves with the time since the epoch, in ms, once the VM's row shows the state.
WATCH = """([id, state]) => {
  window.vigieMoment = new Promise(resolve => {
    const shown = () => document.querySelector(`[data-live="${id}"] [data-state="${state}"]`);
    const now = () => performance.timeOrigin + performance.now();
    if (shown()) { resolve(now()); return; }
    const observer = new MutationObserver(() => {
      if (shown()) { observer.disconnect(); resolve(now()); }
    });
    observer.observe(document.documentElement, {
      subtree: true, childList: true, attributes: true, characterData: true});
  });
}"""


@dataclass(frozen=True)
class BrowserFigures:
    """`virsh start` alone, a start by API until the page says running, a change by virsh until it says so; ms."""

    virsh_start: Spread
    api_start_to_dom: Spread
    virsh_change_to_dom: Spread


@dataclass(frozen=True)
class SickHostFigures:
    """When a host that freezes, dies or returns is seen to, and server times beside a frozen host; ms."""

    frozen_noticed: Spread
    thawed_seen: Spread
    dead_seen: Spread
    returned_seen: Spread
    healthy_times: dict[str, Spread]
    frozen_times: dict[str, Spread]


def run_lab(rounds: int, samples: int) -> tuple[BrowserFigures, SickHostFigures]:
    """Make a lab of three hosts and measure on it. Raises LabError; nothing is left in any case."""
    lab = Lab.up(3)
    try:
        guest = lab.hosts[0].create_guest("bench-01")
        for number in range(2, 10):
            lab.hosts[number % 3].create_guest(f"idle-{number:02d}")
        with serving_lab(lab) as (_, token, rest):
            until(lambda: rest.total("/vms") == 9, "nine guests in sync", 60)
            host, uuid = lab.hosts[0], guest.uuid or ""
            in_browser = _browser_figures(rest, token, host, uuid, rounds)
            return in_browser, _sick_host_figures(rest, lab, samples)
    finally:
        lab.down()


def _browser_figures(rest: Rest, token: str, host: LabHost, uuid: str, rounds: int) -> BrowserFigures:
    vm = str(rest.call("GET", f"/vms?uuid={uuid}")["items"][0]["id"])
    virsh, api, changes = [], [], []
    with _browser(rest.url, token) as page:
        for _ in range(rounds):
            _watch(page, vm, "running")
            requested = time.time()
            task = rest.call("POST", f"/vms/{vm}/actions/start", {})
            api.append(_moment_ms(page, requested))
            # The page says running before libvirt has finished the start; a VM destroyed then has failed to start.
            rest.call("GET", f"/tasks/{task['id']}?wait=10")
            _off(page, vm, host, uuid)
            begun = time.time()
            host.virsh("start", "--domain", uuid)
            virsh.append((time.time() - begun) * 1000)
            for verb, state in (("suspend", "paused"), ("resume", "running")):
                _wait_for_row(page, vm, "running" if verb == "suspend" else "paused")
                _watch(page, vm, state)
                begun = time.time()
                host.virsh(verb, uuid)
                changes.append(_moment_ms(page, begun))
            _off(page, vm, host, uuid)
    return BrowserFigures(Spread(tuple(virsh)), Spread(tuple(api)), Spread(tuple(changes)))


def _off(page: "Page", vm: str, host: LabHost, uuid: str) -> None:
    host.virsh("destroy", uuid)
    _wait_for_row(page, vm, "shutoff")


def _watch(page: "Page", vm: str, state: str) -> None:
    page.evaluate(WATCH, [vm, state])


def _moment_ms(page: "Page", begun: float) -> float:
    """Milliseconds from `begun` until the row showed the state that is watched for."""
    return float(page.evaluate("window.vigieMoment")) - begun * 1000


def _wait_for_row(page: "Page", vm: str, state: str) -> None:
    page.locator(f'[data-live="{vm}"] [data-state="{state}"]').first.wait_for(
        state="attached", timeout=15_000
    )


@contextmanager
def _browser(url: str, token: str) -> Iterator["Page"]:
    """Chromium on the list of VMs, signed in by token. Raises LabError when it is not installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise LabError("This part needs Playwright, which `make setup` installs.") from error
    if not CHROMIUM.exists():
        raise LabError(f"This part needs {CHROMIUM}, which `make setup` installs.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--disable-background-networking", "--disable-sync"],
        )
        page = browser.new_page(extra_http_headers={"Authorization": f"Bearer {token}"})
        page.goto(f"{url}/vms")
        yield page
        browser.close()


def _sick_host_figures(rest: Rest, lab: Lab, samples: int) -> SickHostFigures:
    host = lab.hosts[1]
    host_id = str(rest.call("GET", f"/hosts?q={host.name}")["items"][0]["id"])
    healthy = server_times(rest, samples)
    host.freeze()
    until(lambda: _connection(rest, host_id) == "not_answering", "frozen host noticed", 60)
    frozen = server_times(rest, samples)
    host.thaw()
    until(lambda: _connection(rest, host_id) == "connected", "return noticed", 60)
    frozen_ms, thawed_ms, dead_ms, returned_ms = (list[float]() for _ in range(4))
    for _ in range(5):
        host.freeze()
        frozen_ms.append(_seen_ms(rest, host_id, "not_answering"))
        host.thaw()
        thawed_ms.append(_seen_ms(rest, host_id, "connected"))
        host.kill_daemon()
        dead_ms.append(_seen_ms(rest, host_id, "not_answering"))
        host.start_daemon()
        returned_ms.append(_seen_ms(rest, host_id, "connected"))
    return SickHostFigures(
        frozen_noticed=Spread(tuple(frozen_ms)),
        thawed_seen=Spread(tuple(thawed_ms)),
        dead_seen=Spread(tuple(dead_ms)),
        returned_seen=Spread(tuple(returned_ms)),
        healthy_times=healthy,
        frozen_times=frozen,
    )


def _seen_ms(rest: Rest, host_id: str, connection: str) -> float:
    """Milliseconds from now until the API says this state of the host."""
    return 1000 * until(lambda: _connection(rest, host_id) == connection, f"host {connection}", 60)


def _connection(rest: Rest, host_id: str) -> str:
    return str(rest.call("GET", f"/hosts/{host_id}")["connection"])
