"""What people change of hosts: only a real change of the connection makes the engine connect anew."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Services
from app.core.access.specs import CredentialSpec
from app.core.errors import Conflict, InvalidInput, NotAllowed
from app.core.hosts.specs import HostPatch, HostQuery, HostSpec, HostTarget
from app.core.hosts.states import AdminState, HostConnection, HostStatus
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db.models import Audit, Datacenter, Event, Host
from app.services.hosts import credentials, hosts
from app.services.hosts.manageable import require_connected
from tests.databases import Contexts

HOST = new_id(ObjectKind.HOST)


def text(message: str) -> str:
    return message


@pytest.fixture
def credential(ctx: Contexts) -> str:
    """A host with a password, which is the id that this gives."""
    context = ctx()
    spec = CredentialSpec.model_validate({"name": "door", "kind": "ssh_password", "password": "S3cret-Word"})
    created = credentials.create_credential(context, spec)
    context.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=context.now))
    context.session.flush()
    context.session.add(
        Host(
            id=HOST,
            datacenter_id="dc_1",
            name="kvm-1",
            name_key="kvm-1",
            transport="ssh",
            address="192.0.2.1",
            port=22,
            user="root",
            socket="/var/run/libvirt/libvirt-sock",
            credential_id=created.id,
            mode="managed",
            config_version=1,
            connection="connected",
            created_at=datetime.now(UTC),
        )
    )
    ctx.commit()
    return created.id


def config_version(ctx: Contexts) -> int:
    return ctx().session.get_one(Host, HOST).config_version


def test_a_form_that_changes_only_notes_keeps_the_connection(ctx: Contexts, credential: str) -> None:
    same = {
        "address": "192.0.2.1",
        "port": 22,
        "user": "root",
        "socket": "/var/run/libvirt/libvirt-sock",
        "credential_id": credential,
    }
    hosts.update_host(ctx(), HOST, HostPatch.model_validate(same | {"name": "kvm-1", "notes": "rack 7"}))
    assert config_version(ctx) == 1
    hosts.update_host(ctx(), HOST, HostPatch.model_validate(same | {"port": 2222}))
    assert config_version(ctx) == 2


def test_another_kind_of_credential_is_refused_also_in_a_change(ctx: Contexts, credential: str) -> None:
    context = ctx()
    context.session.get_one(Host, HOST).transport = "tls"
    context.session.flush()
    with pytest.raises(InvalidInput) as reported:
        hosts.update_host(context, HOST, HostPatch(address="192.0.2.9", credential_id=credential))
    assert reported.value.field == "credential_id"


def test_a_name_that_is_taken_is_refused_before_the_look_at_the_host(
    services: Services, ctx: Contexts, credential: str
) -> None:
    administrator = ctx().actor
    ctx.commit()
    spec = HostSpec(name="KVM-1", uri="qemu+ssh://root@192.0.2.77/system", credential_id=credential)
    with pytest.raises(Conflict) as reported:
        hosts.add_host(services, administrator, text, spec)
    assert reported.value.code == "name_taken"


@pytest.mark.parametrize("socket", ["/run/docker.sock", "/etc/passwd"])
def test_a_local_host_is_looked_at_only_by_sockets_of_libvirt(
    services: Services, ctx: Contexts, socket: str
) -> None:
    administrator = ctx().actor
    ctx.commit()
    for target, field in (
        (HostTarget(transport="local", socket=socket), "socket"),
        (HostTarget(uri=f"qemu:///system?socket={socket}"), "uri"),
    ):
        with pytest.raises(InvalidInput) as reported:
            hosts.check_host(services, administrator, text, target)
        assert reported.value.field == field
        assert "/run/libvirt/libvirt-sock" in reported.value.rule_text(text)


def test_who_may_not_add_hosts_learns_nothing_of_the_target(services: Services, ctx: Contexts) -> None:
    viewer: Actor = ctx("viewer").actor
    ctx.commit()
    with pytest.raises(NotAllowed):
        hosts.check_host(services, viewer, text, HostTarget(uri="no uri at all"))


@pytest.mark.parametrize("change", [hosts.remove_host, hosts.reconnect])
def test_rights_are_asked_before_the_host_is_looked_up(ctx: Contexts, change: object) -> None:
    with pytest.raises(NotAllowed):
        change(ctx("viewer"), new_id(ObjectKind.HOST))  # type: ignore[operator]


def test_a_disabled_host_is_let_go_of_and_an_enabled_one_connected_to(ctx: Contexts, credential: str) -> None:
    context = ctx()
    disabled = hosts.update_host(context, HOST, HostPatch(admin_state=AdminState.DISABLED))
    assert (disabled.admin_state, disabled.connection) == (
        AdminState.DISABLED,
        HostConnection.NOT_ANSWERING,
    )
    assert (disabled.stale, disabled.status) == (True, HostStatus.DISABLED)
    assert disabled.connection_reason == "The host is disabled: Vigie does not connect to it."
    assert config_version(ctx) == 2
    with pytest.raises(Conflict) as reported:
        hosts.reconnect(ctx(), HOST)
    assert reported.value.code == "host_disabled"
    with pytest.raises(Conflict) as reported:
        require_connected(ctx(), ctx().session.get_one(Host, HOST))
    assert reported.value.code == "host_disabled"
    enabled = hosts.update_host(ctx(), HOST, HostPatch(admin_state=AdminState.ENABLED))
    assert (enabled.connection, enabled.connection_reason) == (HostConnection.CONNECTING, None)
    assert config_version(ctx) == 3


def test_maintenance_leaves_the_connection_alone(ctx: Contexts, credential: str) -> None:
    host = hosts.update_host(ctx(), HOST, HostPatch(admin_state=AdminState.MAINTENANCE))
    assert (host.connection, host.status) == (HostConnection.CONNECTED, HostStatus.MAINTENANCE)
    assert config_version(ctx) == 1
    require_connected(ctx(), ctx().session.get_one(Host, HOST))


def test_each_change_of_the_administrative_state_is_told_and_none_is_not(
    ctx: Contexts, credential: str
) -> None:
    wanted = (AdminState.DISABLED, AdminState.DISABLED, AdminState.MAINTENANCE, AdminState.ENABLED)
    for admin_state in wanted:
        hosts.update_host(ctx(), HOST, HostPatch(admin_state=admin_state))
    session = ctx().session
    events = session.scalars(sa.select(Event).order_by(Event.id)).all()
    assert [event.kind for event in events] == ["host.disabled", "host.maintenance", "host.enabled"]
    assert {(event.object_id, event.host_id, event.actor_name) for event in events} == {
        (HOST, HOST, ctx().actor.name)
    }
    entries = session.scalars(sa.select(Audit).where(Audit.action == "host.update").order_by(Audit.id)).all()
    changes = [(entry.detail.get("admin_state_before"), entry.detail.get("admin_state")) for entry in entries]
    assert changes == [
        ("enabled", "disabled"),
        (None, None),
        ("disabled", "maintenance"),
        ("maintenance", "enabled"),
    ]


def test_hosts_are_filtered_and_sorted_by_connection_and_by_administrative_state(
    ctx: Contexts, credential: str
) -> None:
    first = ctx().session.get_one(Host, HOST)
    plain = {column.key: getattr(first, column.key) for column in Host.__table__.columns}
    for name, connection, admin_state in (
        ("kvm-2", "not_answering", "disabled"),
        ("kvm-3", "not_answering", "maintenance"),
    ):
        own = {"id": f"host_{name}", "name": name, "name_key": name}
        ctx().session.add(Host(**plain | own | {"connection": connection, "admin_state": admin_state}))
    ctx().session.flush()

    def names(**query: object) -> list[str]:
        return [host.name for host in hosts.list_hosts(ctx(), HostQuery.model_validate(query)).items]

    assert names(connection=["not_answering"]) == ["kvm-2", "kvm-3"]
    assert names(admin_state=["enabled", "maintenance"]) == ["kvm-1", "kvm-3"]
    assert names(connection=["not_answering"], admin_state=["maintenance"]) == ["kvm-3"]
    assert names(sort="connection")[0] == "kvm-1"
    assert names(sort="admin_state") == ["kvm-2", "kvm-1", "kvm-3"]
