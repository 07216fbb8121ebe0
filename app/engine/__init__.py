"""What runs by itself: a coordinator per host, the mirror's writer, the task dispatcher, retention."""

from __future__ import annotations

from app.engine.engine import Engine, EngineHealth
from app.engine.process import EngineProcess

__all__ = ["Engine", "EngineHealth", "EngineProcess"]
