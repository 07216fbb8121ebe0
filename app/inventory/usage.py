"""Usage as it is stored: rounded, so that rows are written only when a number changed noticeably."""

from __future__ import annotations

from app.core.inventory.usage import Usage

COLUMNS = (
    "cpu_percent",
    "memory_used_bytes",
    "memory_total_bytes",
    "disk_read_bps",
    "disk_write_bps",
    "disk_iops",
    "net_rx_bps",
    "net_tx_bps",
)
Rounded = tuple[float | int | None, ...]
UNKNOWN: Rounded = (None,) * len(COLUMNS)
MIB = 1024 * 1024


def rounded(usage: Usage) -> Rounded:
    """CPU to 0.1 %, memory to 1 MiB, rates to three significant digits; in the order of COLUMNS."""
    cpu, used = usage.cpu_percent, usage.memory_used_bytes
    return (
        None if cpu is None else round(cpu, 1),
        None if used is None else used // MIB * MIB,
        usage.memory_total_bytes,
        _three_digits(usage.disk_read_bps),
        _three_digits(usage.disk_write_bps),
        _three_digits(usage.disk_iops),
        _three_digits(usage.net_rx_bps),
        _three_digits(usage.net_tx_bps),
    )


def _three_digits(value: float | None) -> float | None:
    return float(f"{value:.3g}") if value else value
