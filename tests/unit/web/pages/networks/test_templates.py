"""The pages of networks and network filters draw with everything in them, in both languages."""

from __future__ import annotations

import pytest

from app.core.kinds import ObjectKind
from app.core.networks.nwfilters import NwfilterDetail, NwfilterPlan, NwfilterRecord
from app.core.networks.records import (
    LeaseRecord,
    LogicalNetworkHost,
    LogicalNetworkRecord,
    MacConflict,
    MacUser,
    NetworkDetail,
    NetworkUser,
)
from app.core.networks.specs import NetworkPlan
from app.core.records import Page, Ref
from app.core.tasks.states import TaskState
from app.core.vms.records import VerbRecord
from app.core.vms.states import VmState
from app.web.pages.networks import network_form, network_tables, nwfilter_form
from app.web.pages.networks.network_page import NetworkFields
from app.web.pages.rendering.forms import Form, Shown
from app.web.pages.vms.xml_view import pieces
from tests.unit.web.pages import samples
from tests.unit.web.pages.test_templates import FAILED, VIEWER, assert_harmless, draw, listed

HOST = Ref(kind=ObjectKind.HOST, id="host_1", name=samples.HTML)
VM = Ref(kind=ObjectKind.VM, id="vm_1", name=samples.HTML)
PLANS = [
    NetworkPlan.model_validate(plan)
    for plan in (
        {
            "name": "lan", "mode": "nat", "bridge": "virbr9", "devices": ["eno1"], "mtu": 1400, "domain": "lan.example",
            "domain_local": True, "in_kbps": 1000, "out_kbps": 2000,
            "subnets": [
                {"address": "10.9.0.1/24", "dhcp": [{"start": "10.9.0.10", "end": "10.9.0.90"}],
                 "reservations": [{"address": "10.9.0.5", "mac": "52:54:00:00:00:05", "name": "printer"}]},
                {"address": "fd00:9::1/64", "dhcp": [{"start": "fd00:9::10", "end": "fd00:9::90"}]},
            ],
            "dns_hosts": [{"address": "10.9.0.5", "names": ["printer", "p"]}],
            "dns_forwarders": [{"address": "9.9.9.9", "domain": "example.org"}],
            "dns_services": [{"service": "ldap", "protocol": "tcp", "target": "a.lan", "port": 389}],
            "port_groups": [{"name": "guests", "default": True, "in_kbps": 10, "out_kbps": 20}],
        },
        {"name": "plain", "mode": "isolated", "dns": False},
        {"name": "br", "mode": "bridge", "bridge": "br0"},
        {"name": "mv", "mode": "macvtap", "devices": ["eno1", "eno2"], "macvtap_mode": "vepa"},
        {"name": "ovs", "mode": "openvswitch", "bridge": "ovs0", "vlans": [10, 20], "native_vlan": 10,
         "port_groups": [{"name": "a", "vlans": [7]}]},
        {"name": "vf", "mode": "hostdev", "devices": ["ens1f0"]},
    )
]  # fmt: skip
VERBS = [
    VerbRecord(verb=verb, title=verb, allowed=verb != "stop", confirm=False, why=samples.HTML)
    for verb in ("start", "stop", "change", "delete")
]


def detail(plan: NetworkPlan | None, **changed: object) -> NetworkDetail:
    whole = {
        "plan": plan,
        "pending": True,
        "leases": [LeaseRecord(address="10.9.0.5", prefix=24, hostname=samples.HTML, reserved=True, vm=VM)],
        "users": [NetworkUser(vm=VM, state=VmState.RUNNING, mac="m", by_bridge=True, after_power_off=True)],
        "actions": VERBS,
        "version": 1,
    }
    return NetworkDetail.model_validate(samples.network(samples.HTML).model_dump() | whole | changed)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("plan", [*PLANS, None])
def test_a_network_draws_in_every_mode(language: str, plan: NetworkPlan | None) -> None:
    failed = samples.task(TaskState.FAILED, samples.HTML)
    for active in (True, False):
        network = detail(plan, active=active)
        page = {"network": network, "last_task": failed}
        assert_harmless(draw("networks/show.html", language=language, tab="summary", **page))
        text = list(pieces(f"<network>{'<name>x</name>'}</network>"))
        xml = draw(
            "networks/show.html",
            language=language,
            tab="xml",
            texts=[("saved", text), ("live", text)],
            **page,
        )
        assert_harmless(xml)
    viewer = draw(
        "networks/show.html",
        actor=VIEWER,
        tab="summary",
        network=detail(plan, actions=[]),
        last_task=None,
    )
    assert "/delete" not in viewer


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("plan", PLANS)
def test_the_form_of_a_network_holds_what_it_is(language: str, plan: NetworkPlan) -> None:
    values = network_form.values(plan)
    form = Shown(
        values | {"name": samples.HTML}, dict.fromkeys((*values, "name"), samples.HTML), FAILED.problem
    )
    hosts = [("host_1", samples.HTML)]
    assert_harmless(
        draw("networks/new.html", language=language, form=form, hosts=hosts, fields=NetworkFields())
    )
    page = {
        "form": form,
        "network": detail(plan),
        "fields": NetworkFields(plan.mode),
        "others": [samples.HTML],
    }
    assert_harmless(draw("networks/edit.html", language=language, **page))
    read = network_form.read(Form(values, {}), plan.mode)
    assert NetworkPlan.model_validate(read.plan | {"name": plan.name}) == plan


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_fleet_views_draw(language: str) -> None:
    name = LogicalNetworkRecord(
        name=samples.HTML,
        hosts=2,
        missing=1,
        active=1,
        differing=1,
        variants=2,
        mode="nat",
        sample_id="net_1",
    )
    here = LogicalNetworkHost(host=HOST, stale=True, network_id="net_1", differs=["mode", "vlan"], mode="nat")
    lacking = LogicalNetworkHost(host=HOST, stale=False)
    mac = MacConflict(mac="52:54:00:00:00:01", users=[MacUser(vm=VM, host=HOST)] * 2)
    lists = [
        (network_tables.LOGICAL_NETWORKS, "names", [name]),
        (network_tables.MAC_CONFLICTS, "macs", [mac]),
        (network_tables.FILTERS, "filters", [filter_detail(None)]),
    ]
    for table, tab, rows in lists:
        for shown in (rows, []):
            page = draw("networks/list.html", language=language, list=listed(table, shown), tab=tab)
            assert_harmless(page)
    network = detail(PLANS[0])
    places = listed(network_tables.LOGICAL_NETWORK_HOSTS, [here, lacking], base="/networks/net_1/hosts")
    words = {"fields": network_tables.FIELD_TITLES}
    page = draw(
        "networks/logical_network_show.html",
        language=language,
        list=places,
        network=network,
        sample_id="net_2",
        differing=1,
        **words,
    )
    assert_harmless(page)
    for found in (
        Page[LogicalNetworkHost](items=[lacking], total=1, next=None),
        Page[LogicalNetworkHost](items=[], total=0, next=None),
    ):
        assert_harmless(
            draw("networks/copy.html", language=language, network=network, hosts=found, result=None)
        )


def filter_detail(plan: NwfilterPlan | None) -> NwfilterDetail:
    shown = NwfilterRecord(
        id="nwf_1", uuid="u", name=samples.HTML, host_id="host_1", host_name=samples.HTML, built_in=plan is None,
        stale=False, observed_at=samples.NOW,
    )  # fmt: skip
    ref = Ref(kind=ObjectKind.NWFILTER, id="nwf_2", name=samples.HTML)
    return NwfilterDetail(
        **shown.model_dump(), plan=plan, kept_rules=2, users=[VM], referenced_by=[ref], version=1
    )


RULES = NwfilterPlan.model_validate(
    {
        "name": "web", "default_in": "drop", "references": ["clean-traffic"],
        "rules": [
            {"action": "accept", "protocol": "tcp", "port_start": 443, "port_end": 450, "source": "192.0.2.0/24"},
            {"action": "reject", "direction": "inout", "family": "ipv6", "comment": samples.HTML},
        ],
    }
)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("plan", [RULES, None])
def test_a_filter_draws(language: str, plan: NwfilterPlan | None) -> None:
    page = {"filter": filter_detail(plan), "pieces": list(pieces("<filter/>")), "last_task": None}
    assert_harmless(draw("networks/nwfilter_show.html", language=language, **page))
    rows = nwfilter_form.with_spare(nwfilter_form.rows(plan) if plan else [])
    form = Shown(nwfilter_form.values(plan) if plan else {}, {"rules": samples.HTML}, FAILED.problem)
    for of in (filter_detail(plan), None):
        assert_harmless(
            draw(
                "networks/nwfilter_form.html",
                language=language,
                form=form,
                rows=rows,
                hosts=[("h", "x")],
                filter=of,
            )
        )
