"""The filter `options`: (value, label) pairs of a select field from whatever a service offers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.volumes import PoolChoice
from app.core.vms.host_devices import HostDeviceRecord
from app.services.vms.create.choices import Option
from app.web.pages.rendering.formats import Formats
from app.web.pages.rendering.titles import Titles

Pair = tuple[str, str]
Offered = str | Pair | Option | Ref | PoolChoice | HostDeviceRecord

FREE = N_("%(size)s free")
IOMMU_GROUP = N_("IOMMU group %(number)s")
USED_BY = N_("of %(users)s")


@dataclass(frozen=True, slots=True)
class Options:
    """The filter `options` in one language."""

    formats: Formats

    def __call__(
        self,
        offered: Iterable[Offered],
        empty: str | None = None,
        *,
        first: Iterable[Pair] = (),
        titles: str | None = None,
        also: Iterable[str | None] = (),
        then: Iterable[Pair] = (),
        upper: bool = False,
    ) -> list[Pair]:
        """The pairs, each value once.

        `empty` is the label of the empty choice and `first` what comes after it; `titles` a group of titles for
        the labels, `upper` capital letters; `also` holds values in use, which must be there; `then` ends the list.
        """
        found: dict[str, str] = {} if empty is None else {"": empty}
        found.update(first)
        for item in [*offered, *filter(None, also)]:
            value, label = self._pair(item)
            found.setdefault(value, self._titled(value, label, titles, upper))
        for value, label in then:
            found.setdefault(value, label)
        return list(found.items())

    def _titled(self, value: str, label: str, titles: str | None, upper: bool) -> str:
        if titles is not None:
            return Titles(self.formats.translate)(value, titles)
        return label.upper() if upper else label

    def _pair(self, element: Offered) -> Pair:
        if isinstance(element, str):
            return element, element
        if isinstance(element, tuple):
            return element
        if isinstance(element, Option):
            return element.key, self._joined(element.name, element.about, self._free(element.free_bytes))
        if isinstance(element, PoolChoice):
            return element.id, self._joined(element.name, self._free(element.available_bytes))
        if isinstance(element, HostDeviceRecord):
            return element.name, self._device(element)
        return element.id, element.name

    def _free(self, size: int | None) -> str | None:
        return None if size is None else self._say(FREE, size=self.formats.bytes(size))

    def _device(self, device: HostDeviceRecord) -> str:
        group = device.iommu_group
        users = ", ".join(user.name for user in device.users)
        return self._joined(
            f"{device.kind.upper()} {device.address}",
            device.title,
            None if group is None else self._say(IOMMU_GROUP, number=group),
            self._say(USED_BY, users=users) if users else None,
        )

    def _say(self, message: str, **values: object) -> str:
        return self.formats.translate(message) % values

    @staticmethod
    def _joined(*parts: str | None) -> str:
        return " · ".join(part for part in parts if part)
