"""Specifications of VMs that are kept under a name, to make more of the same."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.creation import SavedSpecList, SavedSpecRecord, SavedSpecSpec
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.messages import N_
from app.core.records import Ref
from app.core.states import ObjectKind
from app.core.vmspec import VmSpec
from app.db.models import SavedSpec
from app.services import audit
from app.services.context import Ctx
from app.services.names import check_version, save_named


def list_specs(ctx: Ctx) -> SavedSpecList:
    """All of them, by name."""
    ctx.require("vm.create")
    rows = ctx.session.scalars(sa.select(SavedSpec).order_by(SavedSpec.name_key))
    return SavedSpecList(items=tuple(_record(row) for row in rows))


def show_spec(ctx: Ctx, spec_id: str) -> SavedSpecRecord:
    """One of them. Raises NotFound."""
    return _record(_get(ctx, spec_id))


def save_spec(ctx: Ctx, asked: SavedSpecSpec) -> SavedSpecRecord:
    """Keep a specification. Raises Conflict (name_taken)."""
    ctx.require("vm.create")
    row = SavedSpec(
        id=new_id(ObjectKind.SPEC),
        spec=_plain(asked.spec),
        created_at=ctx.now,
        created_by=ctx.actor.name,
        version=1,
    )
    save_named(ctx, row, asked.name)
    audit.record(ctx, "spec.save", target=_ref(row))
    return _record(row)


def replace_spec(
    ctx: Ctx, spec_id: str, asked: SavedSpecSpec, expected_version: int | None = None
) -> SavedSpecRecord:
    """Change what is kept. Raises EditConflict when somebody else did in between."""
    row = _get(ctx, spec_id, lock=True)
    check_version(row, expected_version)
    row.spec = _plain(asked.spec)
    row.version += 1
    save_named(ctx, row, asked.name)
    audit.record(ctx, "spec.update", target=_ref(row))
    return _record(row)


def delete_spec(ctx: Ctx, spec_id: str) -> None:
    """Keep it no longer; VMs that were made from it stay as they are."""
    row = _get(ctx, spec_id, lock=True)
    ctx.session.delete(row)
    audit.record(ctx, "spec.delete", target=_ref(row))


def _plain(spec: VmSpec) -> dict[str, object]:
    """The specification as it is stored: without the password."""
    stored = spec.model_dump(mode="json", exclude_unset=True)
    if stored.get("cloud_init"):
        stored["cloud_init"].pop("password", None)
    return stored


def _get(ctx: Ctx, spec_id: str, *, lock: bool = False) -> SavedSpec:
    ctx.require("vm.create")
    row = ctx.session.get(SavedSpec, spec_id, with_for_update=lock or None)
    if row is None:
        raise NotFound(N_("There is no such specification."))
    return row


def _record(row: SavedSpec) -> SavedSpecRecord:
    return SavedSpecRecord(
        id=row.id,
        name=row.name,
        spec=row.spec,
        created_at=row.created_at,
        created_by=row.created_by,
        version=row.version,
    )


def _ref(row: SavedSpec) -> Ref:
    return Ref(kind=ObjectKind.SPEC, id=row.id, name=row.name)
