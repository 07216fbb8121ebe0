"""Pictures for the documentation, taken from a running demo: python -m app.lab.demo.screenshots docs/screenshots"""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from playwright.sync_api import Browser, sync_playwright

from app.lab.bench.real_hosts import CHROMIUM
from app.lab.rest import Rest
from app.lab.server import VIGIE

SETTLE_MS = 1500


class Ready(TypedDict):
    """What a demo prints once it can be used."""

    url: str
    token: str


@dataclass(frozen=True)
class Shot:
    """One picture: which page, in which look."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 800
    locale: str = "en-GB"


def main() -> None:
    """Take all pictures into the directory of the command line."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with _demo() as ready, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for shot in _shots(ready):
            _take(browser, ready, shot, target / f"{shot.name}.png")
        browser.close()


def _shots(ready: Ready) -> list[Shot]:
    with Rest(ready["url"], ready["token"]) as rest:
        vm = rest.call("GET", "/vms?name=web-01")["items"][0]["id"]
        host = rest.call("GET", "/hosts?sort=name")["items"][0]["id"]
        pool = rest.call("GET", f"/pools?host={host}")["items"][0]["id"]
        network = rest.call("GET", f"/networks?host={host}")["items"][0]["id"]
    return [
        Shot("dashboard-light", "/"),
        Shot("vms-light", "/vms"),
        Shot("vms-dark", "/vms", scheme="dark"),
        Shot("vms-french", "/vms", locale="fr-FR"),
        Shot("vms-narrow", "/vms", width=390, height=844),
        Shot("vm-light", f"/vms/{vm}"),
        Shot("vm-dark", f"/vms/{vm}", scheme="dark"),
        Shot("host-light", f"/hosts/{host}"),
        Shot("compatibility-light", f"/hosts/{host}/compatibility"),
        Shot("tasks-light", "/tasks"),
        Shot("new-vm-light", f"/vms/new?host={host}", height=1200),
        Shot("hardware-light", f"/vms/{vm}/hardware"),
        Shot("compute-light", f"/vms/{vm}/edit/compute", height=1100),
        Shot("console-dark", f"/vms/{vm}/console", scheme="dark"),
        Shot("pool-light", f"/storage/{pool}"),
        Shot("network-light", f"/networks/{network}"),
    ]


def _take(browser: Browser, ready: Ready, shot: Shot, target: Path) -> None:
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        locale=shot.locale,
        extra_http_headers={"Authorization": f"Bearer {ready['token']}"},
    )
    page.goto(f"{ready['url']}{shot.path}")
    # The live stream never lets the network come to rest, so the pages get a moment instead.
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=str(target))
    page.close()


@contextmanager
def _demo() -> Iterator[Ready]:
    command = [*VIGIE, "demo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            ready: Ready = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


if __name__ == "__main__":
    main()
