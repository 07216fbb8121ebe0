"""The console proxy: bytes between a browser's WebSocket and a VM's display or serial port."""

from app.web.consoles.door import router

__all__ = ["router"]
