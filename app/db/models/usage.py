"""Columns of usage."""

from __future__ import annotations

from sqlalchemy.orm import Mapped


class Usage:
    """Columns of the last usage reading (see core.inventory.usage.Usage)."""

    cpu_percent: Mapped[float | None]
    memory_used_bytes: Mapped[int | None]
    memory_total_bytes: Mapped[int | None]
    disk_read_bps: Mapped[float | None]
    disk_write_bps: Mapped[float | None]
    disk_iops: Mapped[float | None]
    net_rx_bps: Mapped[float | None]
    net_tx_bps: Mapped[float | None]
