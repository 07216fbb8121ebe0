"""Specifications of VMs that are kept under a name, to make more of the same."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, look_up, ref, visible
from app.access.names.unique_names import save_named
from app.access.row_versions import check_version
from app.access.vault import Vault
from app.core.errors import InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.create.presets import VmPresetList, VmPresetRecord, VmPresetSpec
from app.core.vms.create.spec import CloudInit, VmSpec
from app.db.models import VmPreset


def list_presets(ctx: Ctx) -> VmPresetList:
    """All of them, by name."""
    ctx.require("vm.create")
    query = visible(ctx, sa.select(VmPreset).order_by(VmPreset.name_key), VmPreset, "vm.create")
    rows = ctx.session.scalars(query)
    return VmPresetList(items=tuple(_record(row) for row in rows))


def show_preset(ctx: Ctx, preset_id: str) -> VmPresetRecord:
    """One of them. Raises NotFound."""
    return _record(find(ctx, VmPreset, preset_id, "vm.create"))


def save_preset(ctx: Ctx, spec: VmPresetSpec) -> VmPresetRecord:
    """Keep a specification. Raises Conflict (name_taken)."""
    ctx.require("vm.create")
    row = VmPreset(
        id=new_id(ObjectKind.PRESET),
        spec={},
        created_at=ctx.now,
        created_by=ctx.actor.name,
        version=1,
    )
    _store(ctx, row, spec.spec)
    save_named(ctx, row, spec.name)
    audit.record(ctx, "preset.save", target=ref(row))
    return _record(row)


def replace_preset(
    ctx: Ctx, preset_id: str, spec: VmPresetSpec, expected_version: int | None = None
) -> VmPresetRecord:
    """Change what is kept. Raises EditConflict when somebody else did in between."""
    row = find(ctx, VmPreset, preset_id, "vm.create", lock=True)
    check_version(row, expected_version)
    _store(ctx, row, spec.spec)
    row.version += 1
    save_named(ctx, row, spec.name)
    audit.record(ctx, "preset.update", target=ref(row))
    return _record(row)


def delete_preset(ctx: Ctx, preset_id: str) -> None:
    """Keep it no longer; VMs that were made from it stay as they are."""
    row = find(ctx, VmPreset, preset_id, "vm.create", lock=True)
    ctx.session.delete(row)
    audit.record(ctx, "preset.delete", target=ref(row))


def with_user_data(ctx: Ctx, spec: CloudInit) -> CloudInit:
    """What cloud-init is told, with the user_data of the VM preset that it names.

    Raises InvalidInput (cloud_init.user_data_from).
    """
    ctx.require("vm.create")
    if spec.user_data_from is None:
        return spec
    sealed = _sealed_of(ctx, spec.user_data_from, "cloud_init.user_data_from")
    text = ctx.services.vault.open(sealed)["user_data"]
    return spec.model_copy(update={"user_data": text, "user_data_from": None})


def seal_old(session: Session, vault: Vault) -> None:
    """Seal the user_data that versions before this one kept in clear."""
    for row in session.scalars(sa.select(VmPreset).where(VmPreset.sealed.is_(None))):
        kept = row.spec.get("cloud_init")
        cloud = dict(kept) if isinstance(kept, dict) else {}
        if text := cloud.pop("user_data", None):
            row.sealed = vault.seal({"user_data": text})
            row.spec = row.spec | {"cloud_init": cloud}


def _store(ctx: Ctx, row: VmPreset, spec: VmSpec) -> None:
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


def _sealed_of(ctx: Ctx, preset_id: str, field: str) -> bytes:
    row = look_up(ctx, VmPreset, preset_id)
    if row is None or row.sealed is None:
        raise InvalidInput(field, N_("names no VM preset with user-data"))
    return row.sealed


def _record(row: VmPreset) -> VmPresetRecord:
    spec = dict(row.spec)
    kept = spec.get("cloud_init")
    if isinstance(kept, dict):
        cloud = {name: value for name, value in kept.items() if name != "user_data"}
        spec["cloud_init"] = cloud | ({"user_data_from": row.id} if row.sealed else {})
    return VmPresetRecord(
        id=row.id,
        name=row.name,
        spec=spec,
        created_at=row.created_at,
        created_by=row.created_by,
        version=row.version,
    )
