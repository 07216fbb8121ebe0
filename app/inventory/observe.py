"""The mirror's door: what coordinators observed becomes rows, events and notices, many hosts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.core.inventory.reports import HostReport
from app.core.notices import Hub
from app.db.notices import notify
from app.inventory.batch import Batch
from app.inventory.hosts import observe_hosts
from app.inventory.merged_report import gather
from app.inventory.observed_conditions import observe_conditions
from app.inventory.storage_networks import observe_stock
from app.inventory.vms.vms import observe_vms


def observe(session: Session, hub: Hub, reports: Sequence[HostReport]) -> None:
    """Write what the reports say, in the transaction of `session`: only what changed, with events.

    Reports count in their order. Hosts that are no longer registered are passed over. Notices (ids of what
    changed; TREE when something was added, removed, renamed or moved) go out after the commit.
    """
    batch = Batch(session, datetime.now(UTC))
    believed = observe_hosts(batch, gather(reports))
    observe_vms(batch, believed)
    observe_stock(batch, believed.values())
    observe_conditions(batch, believed.values())
    batch.write()
    notify(session, hub, *batch.topics)
