"""Consoles: what is asked to open one, and what people see of those that are open."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.records import Record
from app.core.specs import Spec

ConsoleKind = Literal["vnc", "serial"]


class ConsoleSpec(Spec):
    """Which console of a VM to open."""

    kind: ConsoleKind = Field("vnc", description="vnc: the screen; serial: the first serial port.")
    view_only: bool = Field(False, description="What is typed and pointed at does not reach the VM.")
    force: bool = Field(
        False, description="Serial only: take it from whoever has it. It serves one at a time."
    )


class ConsoleTicket(Record):
    """The right to open one console, once and soon."""

    ticket: str = Field(
        description="Shown this once. Send it as a subprotocol of the WebSocket: `vigie, vigie.ticket.<ticket>`."
    )
    url: str = Field(description="Address of the WebSocket.")
    kind: ConsoleKind
    view_only: bool
    expires_at: datetime


class ConsoleRecord(Record):
    """A console that is open now."""

    id: str
    kind: ConsoleKind
    view_only: bool
    user_id: str
    user_name: str
    remote: str | None = Field(None, description="The address it was opened from.")
    opened_at: datetime


class ConsoleList(Record):
    """Who has a VM's consoles open, the first who came first."""

    items: tuple[ConsoleRecord, ...] = ()
