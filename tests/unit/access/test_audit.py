"""The audit: what it keeps, and how it is listed, on both databases."""

import pytest
import sqlalchemy as sa

from app.access import audit
from app.access.context import Services
from app.core.access.specs import AuditQuery
from app.core.errors import HostUnreachable, NotAllowed
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.records import Ref
from app.db.models import Audit, Datacenter

VM = Ref(kind=ObjectKind.VM, id=new_id(ObjectKind.VM), name="web 100%")


def actions(ctx, **filters: object) -> list[str]:
    listed = audit.list_audit(ctx, AuditQuery.model_validate(filters))
    assert listed.total == len(listed.items)
    return [item.action for item in listed.items]


def test_entries_share_the_fate_of_what_they_tell(services: Services, ctx) -> None:
    audit.record(ctx(), "vm.start", target=VM)
    ctx.roll_back()
    with services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Audit)) == 0


def test_refusals_are_kept_and_told_from_failures(services: Services, ctx, actor) -> None:
    audit.record_refusal(services, actor("viewer"), "vm.start", NotAllowed("no"), VM.id)
    audit.record_refusal(services, actor(), "host.add", HostUnreachable("no"))
    reported = audit.list_audit(ctx(), AuditQuery()).items
    assert [(item.action, item.outcome, item.code) for item in reported] == [
        ("host.add", "failed", "host_unreachable"),
        ("vm.start", "refused", "not_allowed"),
    ]
    assert reported[1].target is not None
    assert reported[1].target.id == VM.id

    assert reported[0].target is None


def test_a_refusal_keeps_the_name_of_what_was_meant(services: Services, ctx, actor) -> None:
    """Searches of the audit by name missed what was refused."""
    session = ctx().session
    datacenter = Datacenter(
        id=new_id(ObjectKind.DATACENTER), name="Île", name_key="ile", created_at=ctx().now
    )
    session.add(datacenter)
    session.commit()
    audit.record_refusal(services, actor("viewer"), "datacenter.delete", NotAllowed("no"), datacenter.id)
    audit.record_refusal(
        services, actor("viewer"), "datacenter.delete", NotAllowed("no"), new_id(ObjectKind.DATACENTER)
    )
    found = audit.list_audit(ctx(), AuditQuery(q="Île")).items
    assert [item.target and item.target.name for item in found] == ["Île"]


def test_newest_first_and_filters(ctx) -> None:
    one = ctx()
    audit.record(one, "vm.start", target=VM, force=True)
    audit.record(ctx(name="ada"), "vm.stop", target=VM)
    audit.record(ctx(name="bob"), "login", outcome="refused", code="wrong_password")
    one = ctx()
    assert actions(one) == ["login", "vm.stop", "vm.start"]
    assert actions(one, sort="at") == ["vm.start", "vm.stop", "login"]
    assert actions(one, actor="ada") == ["vm.stop"]
    assert actions(one, target=VM.id) == ["vm.stop", "vm.start"]
    assert actions(one, outcome="refused") == ["login"]
    assert actions(one, q="VM.") == ["vm.stop", "vm.start"]
    assert actions(one, q="100%") == ["vm.stop", "vm.start"]
    assert actions(one, q="%") == ["vm.stop", "vm.start"]
    assert actions(one, q="nobody") == []
    assert audit.list_audit(one, AuditQuery()).items[2].detail == {"force": True}


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_read_it(ctx, role: str) -> None:
    with pytest.raises(NotAllowed):
        audit.list_audit(ctx(role), AuditQuery())
