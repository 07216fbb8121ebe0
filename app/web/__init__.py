"""The doors for browsers and programs: pages, REST API, live stream. A handler parses, calls one service, renders."""

from __future__ import annotations

from app.web.app import create_web

__all__ = ["create_web"]
