"""The library of images as a list: in parts, at the cost of a few queries."""

import sqlalchemy as sa

from app.access.context import Services
from app.core.specs import ListQuery
from app.db.models import Image, ImageCopy
from app.services.library import images
from tests.databases import Contexts
from tests.integration.api.conftest import fill


def test_a_list_of_images_is_paged_and_costs_the_same_for_one_as_for_twenty(
    services: Services, ctx: Contexts
) -> None:
    created = fill(services)
    context = ctx()
    for number in range(30):
        image = {
            "kind": "disk",
            "state": "ready",
            "source": "s",
            "notes": "",
            "created_by": "t",
            "version": 1,
        }
        name = f"image {number:02}"
        context.session.add(
            Image(id=f"img_{number}", name=name, name_key=name, created_at=context.now, **image)
        )
        context.session.flush()
        place = {"pool_uuid": "p", "volume_name": "v", "path": "/v", "checked_at": context.now}
        context.session.add(ImageCopy(image_id=f"img_{number}", host_id=created.hosts[0], **place))
    context.session.flush()
    costs = []
    seen: list[str] = []
    sa.event.listen(context.session.get_bind(), "before_cursor_execute", lambda *args: seen.append(args[2]))
    for limit in (1, 20):
        seen.clear()
        part = images.list_images(context, ListQuery(limit=limit, q="image"))
        costs.append(len(seen))
        assert [len(part.items), part.total] == [limit, 30]
        assert all(len(item.places) == 1 for item in part.items)
    assert costs[0] == costs[1] <= 6
    assert part.next is not None
    rest = images.list_images(context, ListQuery(limit=20, q="image", cursor=part.next))
    assert [item.name for item in rest.items] == [f"image {number}" for number in range(20, 30)]
