"""The live stream's inbox: nothing is lost silently, nothing grows without end."""

from __future__ import annotations

import asyncio
import threading

from app.core.notices import Hub
from app.web.live import MAX_WAITING, Inbox


def test_changes_gather_until_taken() -> None:
    async def scenario() -> frozenset[str] | None:
        hub = Hub()
        inbox = Inbox(hub)
        threading.Thread(target=hub.publish, args=(["vm_a", "vm_b"],)).start()
        await inbox.take(5)
        hub.publish(["vm_c"])
        hub.publish(["vm_c", "tasks"])
        return await inbox.take(5)

    assert asyncio.run(scenario()) == {"vm_c", "tasks"}


def test_silence_gives_an_empty_set_after_the_timeout() -> None:
    async def scenario() -> frozenset[str] | None:
        return await Inbox(Hub()).take(0.02)

    assert asyncio.run(scenario()) == frozenset()


def test_too_many_changes_become_one_resync_and_then_it_hears_again() -> None:
    async def scenario() -> list[frozenset[str] | None]:
        hub = Hub()
        inbox = Inbox(hub)
        for number in range(MAX_WAITING + 500):
            hub.publish([f"vm_{number}"])
        first = await inbox.take(5)
        hub.publish(["vm_x"])
        return [first, await inbox.take(5)]

    assert asyncio.run(scenario()) == [None, {"vm_x"}]


def test_closed_inbox_hears_nothing_and_is_forgotten() -> None:
    async def scenario() -> frozenset[str] | None:
        hub = Hub()
        inbox = Inbox(hub)
        inbox.close()
        hub.publish(["vm_a"])
        assert not hub._listeners
        return await inbox.take(0.02)

    assert asyncio.run(scenario()) == frozenset()


def test_publisher_survives_the_end_of_the_loop() -> None:
    hub = Hub()

    async def scenario() -> None:
        Inbox(hub)

    asyncio.run(scenario())
    hub.publish(["vm_a"])
    hub.publish(["vm_b"])
    assert not hub._listeners
