"""How Vigie signs in to hosts. The secret is sealed before it is stored, and never leaves again but to a host."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, unrestricted, visible
from app.access.host_secrets import make_secret
from app.access.names.unique_names import save_named
from app.access.paging import Order, contains, page
from app.access.row_versions import check_version
from app.core.access.records import CredentialRecord
from app.core.access.specs import CredentialSpec
from app.core.errors import Conflict, InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import HOSTS
from app.core.records import Page
from app.core.specs import ListQuery
from app.db.models import Credential, Host
from app.hypervisor.transport.credentials import describe_secret

SORT_KEYS = Order(
    {"name": Credential.name_key, "kind": Credential.kind, "created_at": Credential.created_at},
    default="name",
    unique=Credential.id,
)
# What each kind needs, and may have.
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ssh_key": (("private_key",), ("passphrase",)),
    "ssh_password": (("password",), ()),
    "tls": (("ca_certificate", "certificate", "private_key"), ()),
}
ALL_FIELDS = ("private_key", "passphrase", "password", "certificate", "ca_certificate")
SHOWN_HOSTS = 5


def list_credentials(ctx: Ctx, params: ListQuery) -> Page[CredentialRecord]:
    """The credentials, without their secrets."""
    ctx.require("credential.view")
    query = visible(ctx, sa.select(Credential), Credential, "credential.view")
    if params.q:
        query = query.where(contains(Credential.name_key, params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: _records(ctx, [row for (row,) in rows]))


def show_credential(ctx: Ctx, credential_id: str) -> CredentialRecord:
    """One credential, without its secret."""
    return _records(ctx, [find(ctx, Credential, credential_id, "credential.view")])[0]


def create_credential(ctx: Ctx, spec: CredentialSpec) -> CredentialRecord:
    """Store a credential. Raises InvalidInput naming the field when the secret is not of its kind."""
    ctx.require("credential.edit")
    fields = _given(spec)
    row = Credential(
        id=new_id(ObjectKind.CREDENTIAL),
        kind=spec.kind,
        summary=describe_secret(make_secret(spec.kind, fields)),
        sealed=ctx.services.vault.seal(fields),
        created_at=ctx.now,
        updated_at=ctx.now,
        version=1,
    )
    save_named(ctx, row, spec.name)
    audit.record(ctx, "credential.create", target=ref(row), kind=row.kind, summary=row.summary)
    return _records(ctx, [row])[0]


def update_credential(
    ctx: Ctx, credential_id: str, spec: CredentialSpec, expected_version: int | None = None
) -> CredentialRecord:
    """Rename a credential, and replace its secret when one is given; its hosts are then connected anew."""
    row = find(ctx, Credential, credential_id, "credential.edit", lock=True)
    check_version(row, expected_version)
    if spec.kind != row.kind:
        raise InvalidInput("kind", N_("cannot be changed; make a new credential"))
    replaced = any(getattr(spec, name) is not None for name in ALL_FIELDS)
    if replaced:
        fields = _given(spec)
        row.summary = describe_secret(make_secret(spec.kind, fields))
        row.sealed = ctx.services.vault.seal(fields)
        hosts = sa.update(Host).where(Host.credential_id == row.id)
        ctx.session.execute(hosts.values(config_version=Host.config_version + 1))
        ctx.notify(HOSTS)
    row.updated_at = ctx.now
    row.version += 1
    save_named(ctx, row, spec.name)
    audit.record(ctx, "credential.update", target=ref(row), secret_replaced=replaced, summary=row.summary)
    return _records(ctx, [row])[0]


def delete_credential(ctx: Ctx, credential_id: str) -> None:
    """Remove a credential that no host uses."""
    row = find(ctx, Credential, credential_id, "credential.edit", lock=True)
    query = sa.select(Host.name).where(Host.credential_id == row.id).order_by(Host.name_key)
    hosts = ctx.session.scalars(unrestricted(query)).all()
    if hosts:
        names = ", ".join(hosts[:SHOWN_HOSTS]) + (", …" if len(hosts) > SHOWN_HOSTS else "")
        raise Conflict(
            N_("The credential is in use."),
            why=N_("Hosts that use it: %(count)s (%(names)s)."),
            hint=N_("Choose another credential for these hosts first."),
            code="in_use",
            params={"count": len(hosts), "names": names},
        )
    ctx.session.delete(row)
    audit.record(ctx, "credential.delete", target=ref(row))


def _given(spec: CredentialSpec) -> dict[str, str]:
    """The fields of the secret, checked against what its kind needs."""
    needed, optional = FIELDS[spec.kind]
    fields: dict[str, str] = {}
    for name in ALL_FIELDS:
        value = getattr(spec, name)
        if value is None:
            if name in needed:
                raise InvalidInput(name, N_("is needed for this kind of credential"))
            continue
        if name not in needed + optional:
            raise InvalidInput(name, N_("is not used by this kind of credential"))
        fields[name] = value if isinstance(value, str) else value.get_secret_value()
    return fields


def _records(ctx: Ctx, rows: Sequence[Credential]) -> list[CredentialRecord]:
    wanted = [row.id for row in rows]
    used = sa.select(Host.credential_id, sa.func.count()).where(Host.credential_id.in_(wanted))
    used = visible(ctx, used.group_by(Host.credential_id), Host, "host.view")
    counts = {row[0]: row[1] for row in ctx.session.execute(used)}
    return [
        CredentialRecord.model_validate(
            {
                "id": row.id,
                "name": row.name,
                "kind": row.kind,
                "summary": row.summary,
                "host_count": counts.get(row.id, 0),
                "created_at": row.created_at,
                "updated_at": row.updated_at,
                "version": row.version,
            }
        )
        for row in rows
    ]
