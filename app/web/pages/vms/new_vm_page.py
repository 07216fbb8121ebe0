"""The form of a new VM as it is drawn: its rows of disks and interfaces, and what of it is unfolded."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.vms.create.choices import Choices
from app.web.pages.rendering.forms import Shown
from app.web.pages.vms.create_form import rows


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the form; the names of its fields begin with `at`."""

    form: Shown
    number: int
    list: str

    @property
    def at(self) -> str:
        """The beginning of the names of its fields."""
        return f"{self.list}.{self.number}."

    @property
    def kind(self) -> str:
        """What was chosen for it."""
        return self.form.value(f"{self.at}kind")

    def is_wrong(self, *names: str) -> bool:
        """Whether one of these fields has an error."""
        return self.form.is_wrong(*(f"{self.at}{name}" for name in names))


@dataclass(frozen=True, slots=True)
class DiskRow(Row):
    """A disk or drive."""

    @property
    def is_image(self) -> bool:
        """It is made from an image."""
        return self.kind == "image"

    @property
    def is_media(self) -> bool:
        """It is a drive."""
        return self.kind == "media"

    @property
    def is_volume(self) -> bool:
        """It is a volume that there is."""
        return self.kind == "volume"

    @property
    def makes_volume(self) -> bool:
        """A volume is made for it."""
        return self.kind in ("new", "image")

    @property
    def is_open(self) -> bool:
        """Its folded settings have an error."""
        return self.is_wrong("bus", "cache", "io", "format", "volume_name", "boot_order", "linked")


@dataclass(frozen=True, slots=True)
class NicRow(Row):
    """A network interface."""

    @property
    def is_bridge(self) -> bool:
        """It goes to a bridge of the host."""
        return self.kind == "bridge"

    @property
    def is_direct(self) -> bool:
        """It goes to an interface of the host."""
        return self.kind == "direct"

    @property
    def is_open(self) -> bool:
        """Its folded settings have an error or a MAC address."""
        wrong = self.is_wrong("model", "mac", "vlan", "filter", "portgroup", "boot_order")
        return wrong or bool(self.form.value(f"{self.at}mac"))


@dataclass(frozen=True, slots=True)
class NewVmPage:
    """The whole form, with what can be chosen on its host."""

    form: Shown
    choices: Choices

    @property
    def disks(self) -> list[DiskRow]:
        """Its disks and drives."""
        return [DiskRow(self.form, number, "disks") for number in rows(self.form.values, "disks")]

    @property
    def nics(self) -> list[NicRow]:
        """Its network interfaces."""
        return [NicRow(self.form, number, "nics") for number in rows(self.form.values, "nics")]

    @property
    def cpu_models(self) -> list[tuple[str, str]]:
        """Single CPU models, as choices of the mode."""
        return [(f"model:{model}", model) for model in self.choices.cpu_models]

    @property
    def is_batch(self) -> bool:
        """Several are asked for."""
        return self.form.value("count", "1") != "1"
