"""Which format a listed volume is recorded with: what a host makes of its content is compared, never believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.states import AS_FOUND, BY_DEFINITION, BY_VIGIE, FORMAT_DISAGREES, HELD, RAW
from app.core.storage.volumes import is_same_format
from app.db import models
from app.db.chunks import chunks
from app.db.models import Vm, VmDefinition
from app.inventory.batch import Batch, Row, StoredRow

TAKEN_FOR = N_("%(path)s is recorded as %(recorded)s, but its content looks like %(found)s.")


class VolumeFormats:
    """The formats of one pool's volumes, for one batch.

    `pool`: the pool's name. `defined`: formats that definitions give, needed for what `is_in_question` only.
    """

    def __init__(self, batch: Batch, host_id: str, pool: str, defined: Mapping[str, str]) -> None:
        self._batch = batch
        self._host_id = host_id
        self._pool = pool
        self._defined = defined

    def settle(self, volume: VolumeObservation, row: StoredRow | None, wanted: Row) -> Row:
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

    def publish(self, volume_id: str, name: str, settled: Row) -> None:
        """Write the event that a volume is held back from use."""
        host = models.Host
        query = sa.select(host.name).where(host.id == self._host_id)
        host_name = self._batch.session.scalar(query) or ""
        params = settled["condition_params"]
        assert isinstance(params, dict)
        self._batch.publish(
            "volume.held",
            HELD[FORMAT_DISAGREES],
            {"name": name, "host": host_name, "recorded": params["recorded"], "found": params["found"]},
            object_kind=ObjectKind.VOLUME,
            object_id=volume_id,
            object_name=name,
            host=(self._host_id, host_name),
            severity=Severity.WARNING,
        )

    def _recorded(self, volume: VolumeObservation, row: StoredRow | None) -> tuple[str, str]:
        """The recorded format, and who recorded it."""
        if is_in_question(volume, row):
            defined = self._defined_for(volume)
            if defined is not None:
                return defined, BY_DEFINITION
        elif row is not None and is_same_format(volume.format, row.format):
            return row.format or RAW, row.format_by
        if row is None or (row.format_by == AS_FOUND and row.capacity_bytes == 0):
            return volume.format or RAW, AS_FOUND  # an empty file was just being made
        return row.format or RAW, row.format_by or AS_FOUND

    def _defined_for(self, volume: VolumeObservation) -> str | None:
        """The format that definitions give for the volume, by path or by pool and name; raw wins."""
        names = (volume.path, f"{self._pool}/{volume.name}")
        found = [self._defined[name] for name in names if name in self._defined]
        return next((item for item in found if is_same_format(item, RAW)), next(iter(found), None))


def is_in_question(volume: VolumeObservation, row: StoredRow | None) -> bool:
    """Whether definitions of VMs have a say in the format of a volume; `row`: as it is recorded, if it is."""
    if row is None or row.format_by is None:
        return True
    return row.format_by != BY_VIGIE and not is_same_format(volume.format, row.format)


def formats_in_definitions(session: Session, host_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """The formats that definitions of VMs give for paths, and for `pool/volume`, by host; raw wins where they differ."""
    columns = sa.select(Vm.host_id, VmDefinition.parsed, VmDefinition.saved_parsed)
    columns = columns.join(Vm, Vm.id == VmDefinition.vm_id)
    formats: dict[str, dict[str, str]] = {}
    for some in chunks(host_ids):
        for host_id, *definitions in session.execute(columns.where(Vm.host_id.in_(some))):
            found = formats.setdefault(host_id, {})
            for disk in (disk for definition in definitions if definition for disk in definition["disks"]):
                path, format = disk["source"], disk.get("format")
                if path and format and not is_same_format(found.get(path, format), RAW):
                    found[path] = format
                elif path and format:
                    found.setdefault(path, format)
    return formats
