"""The status of a host, which is derived from its connection and its administrative state."""

from urllib.parse import parse_qs

import pytest

from app.core.hosts.specs import HostQuery, status_filters
from app.core.hosts.states import (
    HOST_STATUS_HINTS,
    HOST_STATUS_TITLES,
    AdminState,
    HostConnection,
    HostStatus,
    status_of,
)


@pytest.mark.parametrize("connection", list(HostConnection))
def test_an_enabled_host_is_what_its_connection_is_and_a_disabled_one_is_disabled(
    connection: HostConnection,
) -> None:
    assert status_of(connection, AdminState.ENABLED).value == connection.value
    assert status_of(connection, AdminState.DISABLED) is HostStatus.DISABLED


def test_maintenance_hides_nothing_that_is_wrong() -> None:
    assert status_of(HostConnection.CONNECTED, AdminState.MAINTENANCE) is HostStatus.MAINTENANCE
    for lost in set(HostConnection) - {HostConnection.CONNECTED}:
        assert status_of(lost, AdminState.MAINTENANCE).value == lost.value


def test_a_status_is_usable_when_the_connection_is_and_has_a_title() -> None:
    for connection in HostConnection:
        for admin_state in (AdminState.ENABLED, AdminState.MAINTENANCE):
            assert status_of(connection, admin_state).is_usable == connection.is_usable
    assert not HostStatus.DISABLED.is_usable
    assert set(HOST_STATUS_TITLES) == set(HostStatus)


@pytest.mark.parametrize("status", list(HostStatus))
def test_filters_of_a_status_show_its_hosts_and_no_others(status: HostStatus) -> None:
    query = HostQuery.model_validate(parse_qs(status_filters(status)))
    for connection in HostConnection:
        for admin_state in AdminState:
            if admin_state is AdminState.DISABLED and connection is not HostConnection.NOT_ANSWERING:
                continue
            shown = (not query.connection or connection in query.connection) and (
                not query.admin_state or admin_state in query.admin_state
            )
            assert shown == (status_of(connection, admin_state) is status), (connection, admin_state)


def test_every_status_that_needs_somebody_has_a_hint() -> None:
    waiting = {HostStatus.CONNECTING, HostStatus.DISABLED}
    assert set(HOST_STATUS_HINTS) == {status for status in HostStatus if not status.is_usable} - waiting
