"""Consoles on real hosts: what opens, what is refused with which reason, and what ends them."""

from __future__ import annotations

import configparser
import time
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from PIL import Image
from websockets.exceptions import InvalidStatus

from app.lab.hosts.host import LabHost
from app.lab.rest import Rest
from tests.integration.vms.consoles.client import Console, console, dial, ticket_for
from tests.integration.vms.consoles.conftest import Site
from tests.integration.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SOCKET = "/var/tmp/{name}.vnc"
ON_SOCKET = "<graphics type='vnc' socket='{0}'><listen type='socket' socket='{0}'/></graphics>"
PASSWORD = "<graphics type='vnc' port='-1' autoport='yes' passwd='correct'><listen type='address' address='127.0.0.1'/></graphics>"
EVERYWHERE = (
    "<graphics type='vnc' port='-1' autoport='yes'><listen type='address' address='0.0.0.0'/></graphics>"
)
SPICE = (
    "<graphics type='spice' port='-1' autoport='yes'><listen type='address' address='127.0.0.1'/></graphics>"
)
CUT_S = 5.0
BLINK = 50  # pixels of the cursor, at most


def lit(host: LabHost, name: str) -> int:
    """How many pixels of the VM's screen are not black."""
    path = host.run_directory / f"{name}.screen"
    host.virsh("screenshot", name, "--file", str(path))
    with Image.open(path) as picture:
        pixels = picture.convert("L").tobytes()
    path.unlink()
    return len(pixels) - pixels.count(0)


def settled(host: LabHost, name: str) -> int:
    """The same, once the guest writes nothing more."""
    seen: list[int] = []

    def calm() -> bool:
        time.sleep(1)
        seen.append(lit(host, name))
        return len(seen) > 2 and max(seen[-3:]) - min(seen[-3:]) < BLINK

    wait_for(calm, "a calm screen", 60)
    return seen[-1]


def refusal(site: Site, vm_id: str) -> str | None:
    """The code with which a ticket is refused; None when it is given."""
    site.rest.close()
    code: str | None = site.rest.ask("POST", f"/api/v1/vms/{vm_id}/consoles", {}).data.get("code")
    return code


def why(site: Site, vm_id: str, **spec: object) -> str | None:
    """The code with which a console ends by itself."""
    with console(site.rest, site.token, vm_id, **spec) as opened:
        return opened.end()


def test_serial_shows_the_login_and_takes_what_is_typed(site: Site, terminal: str) -> None:
    with console(site.rest, site.token, terminal, kind="serial") as opened:
        opened.log_in()
        opened.socket.send(b"echo $((6*7))\n")
        opened.until(rb"\n42\r")
        assert opened.opened


def test_keys_reach_the_screen_but_not_from_a_console_that_only_looks(site: Site, terminal: str) -> None:
    host = site.hosts[0]
    with console(site.rest, site.token, terminal, kind="serial") as opened:
        opened.until(b"[#:] ", 90, nudge=b"\r")  # by then tty1 has its login, too
    before = settled(host, "terminal")
    with console(site.rest, site.token, terminal, view_only=True) as watching:
        size = watching.shake_hands()
        assert any(watching.picture(*size))
        watching.press("m" * 20)
        assert any(watching.picture(*size)), "it still shows the screen"
        time.sleep(1)
        assert abs(lit(host, "terminal") - before) < BLINK
    with console(site.rest, site.token, terminal) as typing:
        typing.shake_hands()
        typing.press("m" * 20)
        wait_for(lambda: lit(host, "terminal") - before > 300, "twenty letters on the screen")


def test_a_console_that_only_looks_sends_nothing_to_the_serial_port(site: Site, terminal: str) -> None:
    with console(site.rest, site.token, terminal, kind="serial", view_only=True) as watching:
        watching.pump(10)
        watching.socket.send(b"\recho forbidden\r")
        with pytest.raises(TimeoutError):
            watching.pump(2)


def test_who_is_connected_is_told_as_long_as_they_are(site: Site, terminal: str) -> None:
    def connected() -> list[tuple[str, str, bool]]:
        items = site.call("GET", f"/vms/{terminal}/consoles")["items"]
        return [(item["user_name"], item["kind"], item["view_only"]) for item in items]

    wait_for(lambda: connected() == [], "nobody")
    with (
        console(site.rest, site.token, terminal) as one,
        console(site.rest, site.token, terminal, view_only=True) as two,
    ):
        one.shake_hands()
        two.shake_hands()
        assert sorted(connected()) == [("tester", "vnc", False), ("tester", "vnc", True)]
        assert one.picture(8, 8), "the second did not throw the first out"
    wait_for(lambda: connected() == [], "nobody any more")


def test_the_serial_port_serves_one_and_can_be_taken_over(site: Site, terminal: str) -> None:
    with console(site.rest, site.token, terminal, kind="serial") as first:
        first.until(b"[#:] ", nudge=b"\r")
        assert why(site, terminal, kind="serial") == "serial_busy"
        with console(site.rest, site.token, terminal, kind="serial", force=True) as second:
            second.until(b"[#:] ", nudge=b"\r")
            assert first.end() is None


def test_a_password_is_answered_by_vigie_and_a_wrong_one_is_said(site: Site) -> None:
    host = site.hosts[0]
    vm = site.guest(host, "secret", PASSWORD, boots=False)
    with console(site.rest, site.token, vm) as opened:
        assert opened.shake_hands() > (0, 0)
    assert "correct" not in site.server.log.read_text()
    host.virsh("qemu-monitor-command", "secret", "--hmp", "set_password vnc another")
    assert why(site, vm) == "display_refused"


def test_a_display_on_a_socket_opens_for_who_may(site: Site) -> None:
    host, path = site.hosts[0], SOCKET.format(name="private")
    vm = site.guest(host, "private", ON_SOCKET.format(path), boots=False)
    assert why(site, vm) == "display_closed"
    host.exec("chmod", "666", path)
    with console(site.rest, site.token, vm) as opened:
        assert opened.shake_hands() > (0, 0)


@pytest.mark.parametrize(
    ("manner", "code"),
    [
        ("rubbish", "display_broken"),
        ("close", "display_broken"),
        ("tls", "display_login_unsupported"),
        ("flood", "display_login_unsupported"),
    ],
)
def test_a_display_that_is_no_vnc_server_ends_its_own_console_only(
    site: Site, terminal: str, rogue: Callable[[LabHost, str, str], None], manner: str, code: str
) -> None:
    host, name = site.hosts[0], f"rogue-{manner}"
    path = SOCKET.format(name=name)
    vm = site.guest(host, name, ON_SOCKET.format(path), boots=False)
    rogue(host, path, manner)
    with console(site.rest, site.token, terminal) as other:
        other.shake_hands()
        assert why(site, vm) == code
        assert other.picture(8, 8)


def test_by_tls_only_a_display_that_listens_outside_is_in_reach(site: Site) -> None:
    host = site.hosts[2]
    assert why(site, site.guest(host, "inside")) == "display_out_of_reach"
    with console(site.rest, site.token, site.guest(host, "outside", EVERYWHERE, boots=False)) as opened:
        assert opened.shake_hands() > (0, 0)
    with console(site.rest, site.token, site.running("inside"), kind="serial") as serial:
        assert serial.pump(10)
        assert serial.opened


def test_a_vm_without_a_vnc_display_says_so(site: Site) -> None:
    host = site.hosts[1]
    if "spice" not in host.virsh("domcapabilities"):
        pytest.skip("this machine's QEMU has no SPICE")
    vm = site.guest(host, "spicy", SPICE, boots=False)
    assert why(site, vm) == "no_display"
    refused = site.rest.ask("GET", f"/api/v1/vms/{vm}/spice.vv")
    assert (refused.status, refused.data["code"]) == (409, "spice_out_of_reach")


def test_a_spice_display_that_listens_outside_has_a_file_for_remote_viewer(site: Site) -> None:
    host = site.hosts[1]
    if "spice" not in host.virsh("domcapabilities"):
        pytest.skip("this machine's QEMU has no SPICE")
    vm = site.guest(host, "spicy-outside", SPICE.replace("127.0.0.1", "0.0.0.0"), boots=False)
    given = site.rest.ask("GET", f"/api/v1/vms/{vm}/spice.vv")
    settings = configparser.ConfigParser()
    settings.read_string(given.body.decode())
    port = ElementTree.fromstring(host.virsh("dumpxml", "spicy-outside")).find("devices/graphics").get("port")
    assert dict(settings["virt-viewer"]) == {
        "type": "spice", "host": host.address, "port": port, "title": "spicy-outside", "delete-this-file": "1"
    }  # fmt: skip


def test_the_end_of_the_vm_is_the_end_of_its_console(site: Site) -> None:
    host = site.hosts[1]
    vm = site.guest(host, "short")
    with (
        console(site.rest, site.token, vm) as screen,
        console(site.rest, site.token, vm, kind="serial") as serial,
    ):
        screen.shake_hands()
        serial.pump(5)
        host.virsh("destroy", "short")
        assert (screen.end(), serial.end()) == (None, None)
    wait_for(lambda: refusal(site, vm) == "vm_not_running", "no ticket any more")


def test_a_ticket_is_good_once_for_its_owner(site: Site, terminal: str) -> None:
    ticket = ticket_for(site.rest, terminal)
    with pytest.raises(InvalidStatus, match="403"):
        dial(ticket, site.passing)
    with pytest.raises(InvalidStatus, match="403"):
        dial(ticket, site.token)  # the attempt has used it up
    with pytest.raises(InvalidStatus, match="401"):
        dial(ticket_for(site.rest, terminal), "")
    with pytest.raises(InvalidStatus, match="403"):
        dial(ticket_for(site.rest, terminal), site.token, origin="https://elsewhere.example")
    ticket = ticket_for(site.rest, terminal)
    with dial(ticket, site.token) as opened:
        Console(opened).shake_hands()
        with pytest.raises(InvalidStatus, match="403"):
            dial(ticket, site.token)
    assert ticket["ticket"] not in site.server.log.read_text()


def test_a_revoked_right_cuts_the_console(site: Site, terminal: str) -> None:
    users = site.call("GET", "/users")["items"]
    user = next(item["id"] for item in users if item["name"] == "passing")
    secret = site.passing
    with Rest(site.server.url, secret) as rest:
        with console(rest, secret, terminal) as opened:
            opened.shake_hands()
            begun = time.monotonic()
            site.call("PATCH", f"/users/{user}", {"role": "viewer"})
            assert opened.end(CUT_S + 5) == "not_allowed"
            assert time.monotonic() - begun < CUT_S
        rest.close()
        assert rest.ask("POST", f"/api/v1/vms/{terminal}/consoles", {}).status == 403
        site.call("PATCH", f"/users/{user}", {"role": "operator"})
        with console(rest, secret, terminal, kind="serial") as opened:
            opened.pump(5)
            begun = time.monotonic()
            site.call("PATCH", f"/users/{user}", {"disabled": True})
            assert opened.end(CUT_S + 5) == "token_invalid"
            assert time.monotonic() - begun < CUT_S
    site.call("PATCH", f"/users/{user}", {"disabled": False})


def test_an_observed_host_lets_look_only(site: Site) -> None:
    host = site.call("GET", f"/hosts?q={site.hosts[1].name}")["items"][0]["id"]
    vm = site.guest(site.hosts[1], "observed", boots=False)
    with console(site.rest, site.token, vm) as opened:
        opened.shake_hands()
        site.call("PATCH", f"/hosts/{host}", {"mode": "observe"})
        assert opened.end() == "host_observed"
    assert refusal(site, vm) == "host_observed"
    with console(site.rest, site.token, vm, view_only=True) as watching:
        assert watching.shake_hands() > (0, 0)
    site.call("PATCH", f"/hosts/{host}", {"mode": "managed"})
