"""The pages: what people see. A handler parses, calls one service, renders a template.

Each module here has a `router` of its own; `create_web` includes the one made of all of them.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages import dashboard, drawer, gallery, search, shell, tree

router = APIRouter(include_in_schema=False)
for _module in (shell, dashboard, tree, search, drawer, gallery):
    router.include_router(_module.router)
