"""The pages: what people see. A handler parses, calls one service, renders a template.

Each noun is a package with a `router` made of those of its modules; `app/web/app.py` includes the one made of all of them.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages import access, gallery, hosts, inventory, library, networks, storage, tasks, vms

router = APIRouter(include_in_schema=False)
for _part in (inventory, tasks, gallery, hosts, vms, library, storage, networks, access):
    router.include_router(_part.router)
