"""Examples of consoles."""

from __future__ import annotations

_AT = "2026-11-24T09:30:00Z"

CONSOLES: dict[str, dict[str, object]] = {
    "ConsoleSpec": {"kind": "vnc", "view_only": False},
    "ConsoleTicket": {
        "ticket": "Zk3nB0cY1vWq5sT7uX9aD2eF4gH6iJ8kL0mN1oP2qR3",
        "url": "wss://vigie.example.org/api/v1/console",
        "kind": "vnc",
        "view_only": False,
        "expires_at": _AT,
    },
    "ConsoleList": {
        "items": [
            {
                "id": "con_k2l3m4n5o6p7q2r3",
                "kind": "vnc",
                "view_only": False,
                "user_id": "user_h2i3j4k5l6m7n2o3",
                "user_name": "alice",
                "remote": "192.0.2.77",
                "opened_at": _AT,
            }
        ]
    },
}
