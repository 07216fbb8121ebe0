"""Credentials: sealed at rest, checked when stored, kept while hosts use them."""

from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.access.host_secrets import secret_of
from app.core.access.specs import CredentialSpec
from app.core.errors import Conflict, EditConflict, InvalidInput, NotAllowed, NotFound
from app.core.specs import ListQuery
from app.db.models import Audit, Credential, Datacenter, Host
from app.hypervisor.transport.targets import SshPassword
from app.services.hosts import credentials

PASSWORD = "Tr0ub4dor&3-unmistakable"
PRIVATE_KEY = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()


def spec(**fields: object) -> CredentialSpec:
    return CredentialSpec.model_validate({"name": "Lab", "kind": "ssh_password"} | fields)


def host(credential_id: str, number: int = 1) -> Host:
    return Host(
        id=f"host_{number}",
        datacenter_id="dc_1",
        name=f"kvm{number}",
        name_key=f"kvm{number}",
        transport="ssh",
        address="192.0.2.1",
        port=22,
        user="root",
        socket="/run/libvirt/libvirt-sock",
        credential_id=credential_id,
        mode="managed",
        connection="connecting",
        connection_since=datetime.now(UTC),
        created_at=datetime.now(UTC),
    )


def datacenter() -> Datacenter:
    return Datacenter(id="dc_1", name="Main", name_key="main", created_at=datetime.now(UTC), version=1)


def test_the_secret_is_nowhere_but_sealed(services: Services, ctx, tmp_path: Path) -> None:
    credential = credentials.create_credential(ctx(), spec(password=PASSWORD))
    ctx.commit()
    assert PASSWORD not in credential.model_dump_json()
    with services.database.read() as session:
        row = session.get_one(Credential, credential.id)
        assert PASSWORD.encode() not in row.sealed
        assert PASSWORD not in f"{row.summary} {session.scalars(sa.select(Audit.detail)).all()}"
        assert secret_of(session, services.vault, credential.id) == SshPassword(PASSWORD)
        assert PASSWORD not in repr(secret_of(session, services.vault, credential.id))
    for file in tmp_path.rglob("vigie.db*"):
        assert PASSWORD.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "password"),
        ({"password": PASSWORD, "passphrase": "x"}, "passphrase"),
        ({"kind": "ssh_key"}, "private_key"),
        ({"kind": "ssh_key", "private_key": "not a key"}, "private_key"),
        ({"kind": "ssh_key", "private_key": PRIVATE_KEY[:120]}, "private_key"),
        ({"kind": "tls", "ca_certificate": "x", "certificate": "x"}, "private_key"),
    ],
)
def test_wrong_material_is_refused_by_field(ctx, fields: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput) as reported:
        credentials.create_credential(ctx(), spec(**fields))
    assert reported.value.field == named
    assert not any(value in str(reported.value) for value in fields.values() if len(value) > 20)


def test_a_key_is_told_by_its_fingerprint(ctx) -> None:
    credential = credentials.create_credential(ctx(), spec(kind="ssh_key", private_key=PRIVATE_KEY))
    assert asyncssh.import_private_key(PRIVATE_KEY).get_fingerprint() in credential.summary


def test_a_credential_in_use_stays_and_names_its_hosts(services: Services, ctx) -> None:
    one = ctx()
    credential = credentials.create_credential(one, spec(password=PASSWORD))
    one.session.add(datacenter())
    one.session.flush()
    one.session.add(host(credential.id))
    one.session.flush()
    with pytest.raises(Conflict) as reported:
        credentials.delete_credential(one, credential.id)
    assert reported.value.code == "in_use"
    assert "kvm1" in str(reported.value.texts().why)
    assert credentials.show_credential(one, credential.id).host_count == 1


def test_only_a_new_secret_connects_its_hosts_anew(ctx) -> None:
    one = ctx()
    credential = credentials.create_credential(one, spec(password=PASSWORD))
    one.session.add(datacenter())
    one.session.flush()
    row = host(credential.id)
    one.session.add(row)
    one.session.flush()
    one.session.refresh(row)
    before = row.config_version
    renamed = credentials.update_credential(one, credential.id, spec(name="Other"), credential.version)
    one.session.refresh(row)
    assert (renamed.name, row.config_version) == ("Other", before)
    credentials.update_credential(one, credential.id, spec(name="Other", password="another one"))
    one.session.refresh(row)
    assert row.config_version == before + 1
    with pytest.raises(EditConflict):
        credentials.update_credential(one, credential.id, spec(), credential.version)
    with pytest.raises(InvalidInput, match="kind"):
        credentials.update_credential(one, credential.id, spec(kind="ssh_key"))


def test_names_are_taken_in_any_case(ctx) -> None:
    one = ctx()
    credentials.create_credential(one, spec(password=PASSWORD))
    with pytest.raises(Conflict) as reported:
        credentials.create_credential(one, spec(name="LAB", password=PASSWORD))
    assert reported.value.code == "name_taken"


def test_delete_and_what_is_not_there(services: Services, ctx) -> None:
    one = ctx()
    credential = credentials.create_credential(one, spec(password=PASSWORD))
    credentials.delete_credential(one, credential.id)
    one.session.flush()
    for gone in (credentials.show_credential, credentials.delete_credential):
        with pytest.raises(NotFound):
            gone(one, credential.id)
    assert secret_of(one.session, services.vault, credential.id) is None


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators(ctx, role: str) -> None:
    one = ctx(role)
    with pytest.raises(NotAllowed):
        credentials.list_credentials(one, ListQuery())
    with pytest.raises(NotAllowed):
        credentials.create_credential(one, spec(password=PASSWORD))
