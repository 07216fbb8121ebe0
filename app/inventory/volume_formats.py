"""Which format a listed volume is recorded with: what a host makes of its content is compared, never believed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.states import AS_FOUND, BY_DEFINITION, BY_VIGIE, FORMAT_DISAGREES, HELD, RAW
from app.core.storage.volumes import is_same_format
from app.db import models
from app.db.models import Vm, VmDefinition
from app.inventory.batch import Batch, Row

TAKEN_FOR = N_("%(path)s is recorded as %(recorded)s, but its content looks like %(found)s.")


class VolumeFormats:
    """The formats of one pool's volumes, for one batch. Definitions of VMs are read when a format is in question."""

    def __init__(self, batch: Batch, host_id: str, pool_id: str) -> None:
        self._batch = batch
        self._host_id = host_id
        self._pool_id = pool_id
        self._pool: str | None = None
        self._defined: dict[str, str] | None = None

    def settle(self, volume: VolumeObservation, row: sa.Row[Any] | None, wanted: Row) -> Row:
        """The columns to write: `wanted`, which is what the host says, with the recorded format."""
        recorded, by = self._recorded(volume, row)
        if is_same_format(volume.format, recorded):
            # A medium (iso) is raw, too: that it is one is worth showing.
            settled = wanted | {"format": volume.format or recorded, "format_by": by}
            if row is not None and row.condition == FORMAT_DISAGREES:
                settled |= {"condition": None, "condition_why": None, "condition_params": None}
            return settled
        params = {"path": volume.path, "recorded": recorded, "found": volume.format or RAW}
        settled = wanted | {"format": recorded, "format_by": by, "backing_path": None}
        if row is not None:
            # Sizes and chain are what the content says, and that is what is in doubt.
            settled |= {"capacity_bytes": row.capacity_bytes, "backing_path": row.backing_path}
        return settled | {
            "condition": FORMAT_DISAGREES,
            "condition_why": TAKEN_FOR,
            "condition_params": params,
        }

    def tell(self, volume_id: str, name: str, settled: Row) -> None:
        """Write the event that a volume is held back from use."""
        host = models.Host
        query = sa.select(host.name).where(host.id == self._host_id)
        host_name = self._batch.session.scalar(query) or ""
        params = settled["condition_params"]
        self._batch.tell(
            "volume.held",
            HELD[FORMAT_DISAGREES],
            {"name": name, "host": host_name, "recorded": params["recorded"], "found": params["found"]},
            object_kind=ObjectKind.VOLUME,
            object_id=volume_id,
            object_name=name,
            host=(self._host_id, host_name),
            severity=Severity.WARNING,
        )

    def _recorded(self, volume: VolumeObservation, row: sa.Row[Any] | None) -> tuple[str, str]:
        """The recorded format, and who recorded it."""
        is_new = row is None or row.format_by is None
        if row is not None and not is_new and is_same_format(volume.format, row.format):
            return row.format or RAW, row.format_by
        if row is None or row.format_by != BY_VIGIE:
            defined = self._defined_for(volume)
            if defined is not None:
                return defined, BY_DEFINITION
        if row is None or (row.format_by == AS_FOUND and row.capacity_bytes == 0):
            return volume.format or RAW, AS_FOUND  # an empty file was just being made
        return row.format or RAW, row.format_by or AS_FOUND

    def _defined_for(self, volume: VolumeObservation) -> str | None:
        """The format that definitions give for the volume, by path or by pool and name; raw wins."""
        if self._defined is None:
            self._defined = formats_in_definitions(self._batch.session, self._host_id)
            pool = models.Pool
            self._pool = self._batch.session.scalar(sa.select(pool.name).where(pool.id == self._pool_id))
        names = (volume.path, f"{self._pool}/{volume.name}")
        found = [self._defined[name] for name in names if name in self._defined]
        return next((each for each in found if is_same_format(each, RAW)), next(iter(found), None))


def formats_in_definitions(session: Session, host_id: str) -> dict[str, str]:
    """The formats that definitions of the host's VMs give for paths, and for `pool/volume`; raw wins where they differ."""
    query = sa.select(VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(Vm, Vm.id == VmDefinition.vm_id).where(Vm.host_id == host_id)
    found: dict[str, str] = {}
    for definitions in session.execute(query):
        for disk in (disk for each in definitions if each for disk in each["disks"]):
            path, format = disk["source"], disk.get("format")
            if path and format and not is_same_format(found.get(path, format), RAW):
                found[path] = format
            elif path and format:
                found.setdefault(path, format)
    return found
