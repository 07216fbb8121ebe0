"""Specifications of VMs that are kept under a name, to make more of the same."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, look_up, ref, visible
from app.access.unique_names import check_version, save_named
from app.access.vault import Vault
from app.core.errors import InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.create import SavedSpecList, SavedSpecRecord, SavedSpecSpec
from app.core.vms.create_spec import CloudInit, VmSpec
from app.db.models import SavedSpec


def list_specs(ctx: Ctx) -> SavedSpecList:
    """All of them, by name."""
    ctx.require("vm.create")
    query = visible(ctx, sa.select(SavedSpec).order_by(SavedSpec.name_key), SavedSpec, "vm.create")
    rows = ctx.session.scalars(query)
    return SavedSpecList(items=tuple(_record(row) for row in rows))


def show_spec(ctx: Ctx, spec_id: str) -> SavedSpecRecord:
    """One of them. Raises NotFound."""
    return _record(find(ctx, SavedSpec, spec_id, "vm.create"))


def save_spec(ctx: Ctx, asked: SavedSpecSpec) -> SavedSpecRecord:
    """Keep a specification. Raises Conflict (name_taken)."""
    ctx.require("vm.create")
    row = SavedSpec(
        id=new_id(ObjectKind.SPEC),
        spec={},
        created_at=ctx.now,
        created_by=ctx.actor.name,
        version=1,
    )
    _store(ctx, row, asked.spec)
    save_named(ctx, row, asked.name)
    audit.record(ctx, "spec.save", target=ref(row))
    return _record(row)


def replace_spec(
    ctx: Ctx, spec_id: str, asked: SavedSpecSpec, expected_version: int | None = None
) -> SavedSpecRecord:
    """Change what is kept. Raises EditConflict when somebody else did in between."""
    row = find(ctx, SavedSpec, spec_id, "vm.create", lock=True)
    check_version(row, expected_version)
    _store(ctx, row, asked.spec)
    row.version += 1
    save_named(ctx, row, asked.name)
    audit.record(ctx, "spec.update", target=ref(row))
    return _record(row)


def delete_spec(ctx: Ctx, spec_id: str) -> None:
    """Keep it no longer; VMs that were made from it stay as they are."""
    row = find(ctx, SavedSpec, spec_id, "vm.create", lock=True)
    ctx.session.delete(row)
    audit.record(ctx, "spec.delete", target=ref(row))


def with_user_data(ctx: Ctx, asked: CloudInit) -> CloudInit:
    """What cloud-init is told, with the user_data of the kept specification that it names.

    Raises InvalidInput (cloud_init.user_data_from).
    """
    ctx.require("vm.create")
    if asked.user_data_from is None:
        return asked
    sealed = _sealed_of(ctx, asked.user_data_from, "cloud_init.user_data_from")
    text = ctx.services.vault.open(sealed)["user_data"]
    return asked.model_copy(update={"user_data": text, "user_data_from": None})


def seal_old(session: Session, vault: Vault) -> None:
    """Seal the user_data that versions before this one kept in clear."""
    for row in session.scalars(sa.select(SavedSpec).where(SavedSpec.sealed.is_(None))):
        cloud = dict(row.spec.get("cloud_init") or {})
        if text := cloud.pop("user_data", None):
            row.sealed = vault.seal({"user_data": text})
            row.spec = row.spec | {"cloud_init": cloud}


def _store(ctx: Ctx, row: SavedSpec, spec: VmSpec) -> None:
    """Put the specification into the row: without the password, and with its user_data sealed."""
    stored = spec.model_dump(mode="json", exclude_unset=True)
    cloud = stored.get("cloud_init") or {}
    cloud.pop("password", None)
    text, source = cloud.pop("user_data", None), cloud.pop("user_data_from", None)
    if text:
        row.sealed = ctx.services.vault.seal({"user_data": text})
    elif source != row.id:
        row.sealed = _sealed_of(ctx, source, "spec.cloud_init.user_data_from") if source else None
    row.spec = stored


def _sealed_of(ctx: Ctx, spec_id: str, field: str) -> bytes:
    row = look_up(ctx, SavedSpec, spec_id)
    if row is None or row.sealed is None:
        raise InvalidInput(field, N_("names no kept specification with user-data"))
    return row.sealed


def _record(row: SavedSpec) -> SavedSpecRecord:
    spec = dict(row.spec)
    if spec.get("cloud_init") is not None:
        cloud = {name: value for name, value in spec["cloud_init"].items() if name != "user_data"}
        spec["cloud_init"] = cloud | ({"user_data_from": row.id} if row.sealed else {})
    return SavedSpecRecord(
        id=row.id,
        name=row.name,
        spec=spec,
        created_at=row.created_at,
        created_by=row.created_by,
        version=row.version,
    )
