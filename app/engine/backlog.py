"""Reports that wait for the database: what is kept when it takes none for long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core.inventory.reports import HostReport, HostSnapshot

MAX_HINTS = 200


def settle(reports: Sequence[HostReport]) -> list[HostReport]:
    """The same news of one host, in order, without what later reports have overtaken.

    A complete reading (all VMs with definitions) overtakes all earlier readings of VMs, a listing of states the
    earlier listings, a usage the earlier usage. States, facts, what else the host has, and hints are news in
    themselves and stay (the oldest hints go when there are very many).
    """
    kept: list[HostReport] = []
    listed = measured = False
    newer: frozenset[str] | None = None  # once there is a complete reading: VMs of which it says nothing
    hints_left = MAX_HINTS
    for report in reversed(reports):
        short = report
        if newer is not None:
            short = _of_vms(replace(short, snapshot=_without_vms(short.snapshot)), newer)
        elif listed and not is_complete(short):
            short = replace(short, snapshot=_without_vms(short.snapshot))
        if measured:
            short = replace(short, host_usage=None, vm_usage=None)
        if len(short.hints) > hints_left:
            short = replace(short, hints=short.hints[len(short.hints) - hints_left :])
        hints_left -= len(short.hints)
        if short is report or _says_something(short):
            kept.append(short)
        if newer is None and report.snapshot is not None and is_complete(report):
            newer = report.snapshot.newer_vms
        listed = listed or (report.snapshot is not None and report.snapshot.vms is not None)
        measured = measured or report.vm_usage is not None
    kept.reverse()
    return kept


def is_complete(report: HostReport) -> bool:
    """Whether the report holds all VMs of the host with definitions."""
    vms = report.snapshot.vms if report.snapshot is not None else None
    return vms is not None and all(vm.definition is not None for vm in vms)


def _of_vms(report: HostReport, kept: frozenset[str]) -> HostReport:
    """The report with single readings of these VMs only."""
    return replace(
        report,
        vms=tuple(vm for vm in report.vms if vm.uuid in kept),
        gone_vms=tuple(uuid for uuid in report.gone_vms if uuid in kept),
        saved={uuid: each for uuid, each in report.saved.items() if uuid in kept},
    )


def _without_vms(snapshot: HostSnapshot | None) -> HostSnapshot | None:
    """The rest of a listing; None when there is none."""
    if snapshot is None:
        return None
    rest = replace(snapshot, vms=None, newer_vms=frozenset())
    return None if rest == HostSnapshot(libvirt_uuid=snapshot.libvirt_uuid) else rest


def is_urgent(report: HostReport) -> bool:
    """Whether somebody may be waiting for it: a change of state, or an answer to an event."""
    return bool(report.state or report.vms or report.gone_vms or report.hints)


def _says_something(report: HostReport) -> bool:
    return bool(
        report.state
        or report.facts
        or report.checks
        or report.snapshot
        or report.vms
        or report.gone_vms
        or report.saved
        or report.vm_usage
        or report.guests
        or report.conditions
        or report.hints
    )
