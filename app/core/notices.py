"""Who wants to know that something changed. Notices name ids, never contents: whoever hears one reads again.

A topic is an object's id (`vm_…`, `host_…`, `task_…`) or one of the words below.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

TREE = "tree"  # something was added, removed, moved or renamed
TASKS = "tasks"  # any task changed
EVENTS = "events"  # an event was written
HOSTS = "hosts"  # a host's configuration changed: the engine looks again
WORK = "work"  # a task was queued or a cancel asked: the engine looks again
SCREENSHOT_WANTED = "screenshot-wanted:"  # + vm id: somebody looks at the VM, take a screenshot
SCREENSHOT_TAKEN = "screenshot-taken:"  # + vm id: a new screenshot is there
LEASES = "leases:"  # + network id: somebody looks at the network, read its leases
VOLUMES = "volumes:"  # + pool id: somebody looks at the pool or its volumes, read these
DEVICES = "devices:"  # + host id: somebody wants to give a device away, read them
USER_ACCESS = "user-access:"  # + user id: logins or rights of the user changed

Listener = Callable[[frozenset[str]], None]


class Hub:
    """Hands notices to listeners in this process. Listeners must only queue: they run in the caller's thread."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each set of topics from now on; call what is returned to stop."""
        with self._lock:
            self._listeners = [*self._listeners, listener]

        def stop() -> None:
            with self._lock:
                self._listeners = [item for item in self._listeners if item is not listener]

        return stop

    def publish(self, topics: Iterable[str]) -> None:
        """Tell every listener that these topics changed."""
        reported = frozenset(topics)
        if reported:
            for listener in self._listeners:
                listener(reported)
