"""Numbers, sizes, rates, dates and times, as people of a language write them. Filters of the templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from app.core.hosts.specs import status_filters
from app.core.hosts.states import HostStatus
from app.core.messages import N_
from app.core.vms.states import VM_REASON_TITLES
from app.web.pages.rendering.states import alert_role, title_of, tone, tone_icon

ABSENT = "–"
_BYTE_UNITS = {"en": ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), "fr": ("o", "Kio", "Mio", "Gio", "Tio", "Pio")}
_SPACE = "\u202f"  # narrow, not breaking: between a number and its unit
_SECOND, _MINUTE, _HOUR, _DAY = 1, 60, 3600, 86400


def host_filters(status: str) -> str:
    """The filters of the host list that show the hosts of a status."""
    return status_filters(HostStatus(status))


def level(percent: float | None) -> str:
    """How full something is: unknown, ok, warn (from 75 %) or bad (from 90 %)."""
    if percent is None:
        return "unknown"
    return "bad" if percent >= 90 else "warn" if percent >= 75 else "ok"


def share(part: float | None, whole: float | None) -> float | None:
    """How much of the whole a part is, in percent; None when either is not known, or there is no whole."""
    return None if part is None or not whole else 100 * part / whole


def fill(percent: float | None) -> float:
    """How long a bar of 100 is."""
    return round(min(max(percent or 0, 0), 100), 1)


def dash(value: object) -> object:
    """The value, or a dash for none and for empty text."""
    return ABSENT if value is None or value == "" else value


@cache
def _locale(language: str) -> Locale:
    return Locale("en", "GB") if language == "en" else Locale(language)


@lru_cache(10_000)  # a list of 100 VMs shows a thousand numbers, and most of them again and again
def _grouped(value: float, digits: int, language: str) -> str:
    pattern = f"#,##0.{'#' * digits}" if digits else "#,##0"
    return format_decimal(value, format=pattern, locale=_locale(language))


@lru_cache(1000)  # a list shows hundreds of times, of few days
def _day(day: date, language: str) -> str:
    return format_date(day, "d MMM y", locale=_locale(language))


@dataclass(frozen=True, slots=True)
class Formats:
    """The filters of one language. None is shown as a dash everywhere."""

    language: str
    translate: Callable[[str], str]

    @property
    def locale(self) -> Locale:
        """Babel's locale; English dates are written as in Britain: day before month, 24 hours."""
        return _locale(self.language)

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with at most `digits` decimals, grouped."""
        if value is None:
            return ABSENT
        return _grouped(round(value, digits), digits, self.language)

    def percent(self, value: float | None) -> str:
        """0 to 100, without decimals."""
        return ABSENT if value is None else f"{self.number(value)}{_SPACE}%"

    def bytes(self, value: float | None) -> str:
        """A size in binary units, with three significant digits."""
        if value is None:
            return ABSENT
        if value < 0:
            return f"−{self.bytes(-value)}"
        units = _BYTE_UNITS.get(self.language, _BYTE_UNITS["en"])
        size, unit = float(value), 0
        while abs(size) >= 1000 and unit < len(units) - 1:
            size, unit = size / 1024, unit + 1
        digits = 0 if unit == 0 or abs(size) >= 100 else 1 if abs(size) >= 10 else 2
        return f"{self.number(size, digits)}{_SPACE}{units[unit]}"

    def rate(self, value: float | None) -> str:
        """Bytes per second."""
        return ABSENT if value is None else f"{self.bytes(value)}/s"

    def kilorate(self, value: float | None) -> str:
        """Kilobytes per second; none and 0 are no rate."""
        return self.rate(value * 1000) if value else ABSENT

    def duration(self, seconds: float | None) -> str:
        """A length of time by its two largest units: 41 d 6 h, 2 min 5 s."""
        if seconds is None:
            return ABSENT
        left = max(0, int(seconds))
        parts: list[str] = []
        for size, unit in ((_DAY, self.day_unit), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
            count, left = divmod(left, size)
            if count or parts or unit == "s":
                parts.append(f"{count}{_SPACE}{unit}")
            if len(parts) == 2:
                break
        return " ".join(part for part in parts if not (part.startswith("0") and len(parts) > 1))

    @property
    def day_unit(self) -> str:
        """The letter after a number of days."""
        return "j" if self.language == "fr" else "d"

    def ago(self, at: datetime | None) -> str:
        """How long ago, by the largest unit: 38 s ago. The browser lets it tick."""
        return (
            self.translate("never")
            if at is None
            else self.translate("%(time)s ago") % {"time": self.elapsed(at)}
        )

    def elapsed(self, at: datetime) -> str:
        """The time since, by the largest unit: 38 s. The browser lets it tick."""
        seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
        for size, unit in ((_DAY, self.day_unit), (_HOUR, "h"), (_MINUTE, "min")):
            if seconds >= size:
                return f"{seconds // size}{_SPACE}{unit}"
        return f"{seconds}{_SPACE}s"

    def moment(self, at: datetime | None) -> str:
        """A point in time with its date, UTC."""
        return ABSENT if at is None else f"{_day(at.date(), self.language)} {at:%H:%M:%S} UTC"

    def time(self, at: datetime | None) -> str:
        """A point in time of today, UTC."""
        return ABSENT if at is None else format_time(at, "HH:mm:ss", locale=self.locale)

    def state_title(self, state: str | None, kind: str = "vm") -> str:
        """The name of a state of any object. Tasks and VMs both run: `kind` tells them apart."""
        title = title_of(state, kind)
        return self.translate(title) if title else str(state or ABSENT)

    def reason_title(self, reason: str | None) -> str:
        """Why a VM is in its state; a reason that a newer libvirt gives stands as it is."""
        title = VM_REASON_TITLES.get(str(reason))
        return self.translate(title) if title else str(reason or "")

    def filters(self) -> dict[str, Callable[..., object]]:
        """All of it by the names that templates use."""
        return {
            "number": self.number,
            "percent": self.percent,
            "bytes": self.bytes,
            "rate": self.rate,
            "kilorate": self.kilorate,
            "duration": self.duration,
            "ago": self.ago,
            "elapsed": self.elapsed,
            "datetime": self.moment,
            "time": self.time,
            "state_title": self.state_title,
            "reason_title": self.reason_title,
            "host_filters": host_filters,
            "tone": tone,
            "tone_icon": tone_icon,
            "alert_role": alert_role,
            "level": level,
            "share": share,
            "fill": fill,
            "dash": dash,
        }


# Said by templates and scripts through `Formats.ago`.
AGES = (N_("%(time)s ago"), N_("never"))
