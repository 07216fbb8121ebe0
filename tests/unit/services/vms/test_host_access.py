"""Who may plug VMs into bridges and interfaces of a host, and have definitions that reach it."""

import pytest
import sqlalchemy as sa

from app.access.context import Ctx
from app.core.access.privileges import Role
from app.core.errors import InvalidInput, NotAllowed
from app.core.hosts.specs import HostPatch
from app.core.vms.create.spec import NicSpec, VmSpec
from app.db.models import Audit, Datacenter, Host, Network
from app.services.hosts import hosts
from app.services.vms.create.nic_planner import plan_nics
from app.services.vms.host_access import require_for_definition
from tests.databases import Contexts

HOST = "host_aaaaaaaaaaaaaaaa"
DEFINITION = "<domain type='kvm'><name>x</name><devices>{0}</devices></domain>"
HOSTDEV = "<hostdev mode='subsystem' type='pci'><source/></hostdev>"
ON_BRIDGE = "<interface type='bridge'><source bridge='{0}'/></interface>"
SHARED = "<interface type='direct'><source dev='eno1' mode='{0}'/></interface>"


@pytest.fixture
def as_role(ctx: Contexts) -> Contexts:
    """Contexts with a host that has the network `default`."""
    context = ctx()
    context.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=context.now))
    context.session.flush()
    row = {"port": 22, "user": "root", "socket": "/s", "mode": "managed", "connection": "connected"}
    row |= {"name": "kvm-1", "name_key": "kvm-1", "transport": "ssh", "address": "192.0.2.1"}
    context.session.add(Host(id=HOST, datacenter_id="dc_1", created_at=context.now, **row))
    context.session.flush()
    network = {"name": "default", "uuid": "u", "active": True, "autostart": True, "persistent": True}
    context.session.add(Network(id="net_1", host_id=HOST, forward_mode="nat", **network))
    context.session.flush()
    return ctx


def plug(ctx: Ctx, **nic: str | int) -> str:
    spec = VmSpec(name="vm", nics=[NicSpec.model_validate(nic)])
    host = ctx.session.get_one(Host, HOST)
    return plan_nics(ctx, spec, host, machine=None, os_variant=None)[0].source


def define(ctx: Ctx, after: str, before: str | None = None) -> None:
    plain = None if before is None else DEFINITION.format(before)
    require_for_definition(ctx, ctx.session.get_one(Host, HOST), DEFINITION.format(after), plain)


@pytest.mark.parametrize(
    "nic",
    [{"bridge": "br0"}, {"direct": "eth0"}, {"direct": "eth0", "direct_mode": "passthrough"}],
)
def test_an_operator_plugs_vms_into_no_bridge_or_interface_that_the_hosts_list_lacks(
    as_role: Contexts, nic: dict[str, str]
) -> None:
    with pytest.raises(NotAllowed) as reported:
        plug(as_role("operator"), **nic)
    assert next(iter(nic.values())) in (reported.value.texts().why or "")
    assert plug(as_role("administrator"), **nic)


def test_what_an_administrator_lists_is_open_to_operators_but_passthrough_is_not(as_role: Contexts) -> None:
    patch = HostPatch(allowed_bridges=["br0", "br0"], allowed_interfaces=["eno1"])
    shown = hosts.update_host(as_role(), HOST, patch)
    assert (shown.allowed_bridges, shown.allowed_interfaces) == (["br0"], ["eno1"])
    context = as_role("operator")
    assert plug(context, bridge="br0") == "br0"
    assert plug(context, direct="eno1") == "eno1"
    for nic in ({"bridge": "eno1"}, {"direct": "br0"}, {"direct": "eno1", "direct_mode": "passthrough"}):
        with pytest.raises(NotAllowed):
            plug(context, **nic)
    entry = as_role().session.query(Audit).filter_by(action="host.update").one()
    assert (entry.detail["allowed_before"], entry.detail["allowed"]) == ("–", "br0, eno1")


def test_only_who_edits_hosts_changes_the_list(as_role: Contexts) -> None:
    with pytest.raises(NotAllowed):
        hosts.update_host(as_role("operator"), HOST, HostPatch(allowed_bridges=["br0"]))


@pytest.mark.parametrize("name", ["", "../x", "br 0", "a" * 16, "br0;x", "-br"])
def test_names_that_no_network_device_has_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        HostPatch(allowed_bridges=[name])


def test_a_network_is_used_by_operators_and_not_by_viewers(as_role: Contexts) -> None:
    assert plug(as_role("operator"), network="default") == "default"
    with pytest.raises(NotAllowed):
        plug(as_role("viewer"), network="default")
    assert "network.use" in Role.OPERATOR.privileges - Role.VIEWER.privileges


@pytest.mark.parametrize(
    "device",
    [
        HOSTDEV,
        ON_BRIDGE.format("br0"),
        SHARED.format("passthrough"),
        SHARED.format("bridge"),
        "<interface type='user'/>",
        "<interface type='ethernet'><script path='/tmp/x'/></interface>",
    ],
)
def test_a_definition_that_adds_host_access_needs_the_privilege(as_role: Contexts, device: str) -> None:
    with pytest.raises(NotAllowed) as reported:
        define(as_role("operator"), device)
    assert "vm.host-access" in (reported.value.texts().why or "")
    define(as_role("operator"), device, before=device)
    define(as_role("administrator"), device)


CD = "<disk type='{0}' device='cdrom'><source {1}/><target dev='sda'/><readonly/></disk>"
WRITTEN = "<disk type='{0}'><source {1}/><target dev='vda'/></disk>"


@pytest.mark.parametrize("source", [("file", "file='/etc/shadow'"), ("block", "dev='/dev/mapper/vg-root'")])
def test_a_path_of_the_host_that_a_vm_could_only_read_is_new_when_it_can_write_to_it(
    as_role: Contexts, source: tuple[str, str]
) -> None:
    before, after = CD.format(*source), WRITTEN.format(*source)
    define(as_role("operator"), before, before=before)
    define(as_role("operator"), before, before=after)
    define(as_role("operator"), after, before=after)
    with pytest.raises(NotAllowed) as reported:
        define(as_role("operator"), after, before=before)
    assert "vm.host-access" in (reported.value.texts().why or "")
    define(as_role("administrator"), after, before=before)


def test_an_interface_that_turns_to_passthrough_is_new(as_role: Contexts) -> None:
    hosts.update_host(as_role(), HOST, HostPatch(allowed_interfaces=["eno1"]))
    define(as_role("operator"), SHARED.format("bridge"))
    with pytest.raises(NotAllowed):
        define(as_role("operator"), SHARED.format("passthrough"), before=SHARED.format("bridge"))


@pytest.mark.parametrize(
    ("nic", "own"),
    [
        ({"network": "default"}, {"vlan": "10"}),
        ({"network": "default"}, {}),
        ({"network": "default", "portgroup": "sales"}, {"vlan": "10 (sales)"}),
        ({"bridge": "br0"}, {}),
        ({"direct": "eno1"}, {}),
    ],
)
def test_an_operator_gives_an_interface_no_vlan_tag_of_its_own(
    as_role: Contexts, nic: dict[str, str], own: dict[str, str]
) -> None:
    hosts.update_host(as_role(), HOST, HostPatch(allowed_bridges=["br0"], allowed_interfaces=["eno1"]))
    as_role().session.execute(sa.update(Network).values(vlan=own.get("vlan")))
    assert plug(as_role("operator"), **nic)
    with pytest.raises(InvalidInput) as reported:
        plug(as_role("operator"), **nic, vlan=20)
    assert reported.value.field == "nics.0.vlan"
    assert "vm.host-access" in reported.value.rule
    assert plug(as_role("administrator"), **nic, vlan=20)


TAGGED = "<interface type='network'><source network='default'/><vlan{0}><tag id='{1}'/></vlan></interface>"


@pytest.mark.parametrize("vlan", [("", "20"), (" trunk='yes'", "10")])
def test_a_definition_that_adds_vlan_tags_of_an_interface_needs_the_privilege(
    as_role: Contexts, vlan: tuple[str, str]
) -> None:
    before = TAGGED.format("", "10")
    with pytest.raises(NotAllowed) as reported:
        define(as_role("operator"), TAGGED.format(*vlan), before=before)
    assert vlan[1] in (reported.value.texts().why or "")
    define(as_role("operator"), before, before=before)
    define(as_role("administrator"), TAGGED.format(*vlan), before=before)


def test_an_unknown_network_names_its_field(as_role: Contexts) -> None:
    with pytest.raises(InvalidInput) as reported:
        plug(as_role("operator"), network="nowhere")
    assert reported.value.field == "nics.0.network"
