"""Kinds of objects, and how serious an event is."""

from __future__ import annotations

from enum import StrEnum


class ObjectKind(StrEnum):
    """What an id can name; used in routes, events, tasks and live topics."""

    HOST = "host"
    VM = "vm"
    POOL = "pool"
    VOLUME = "volume"
    NETWORK = "network"
    NWFILTER = "nwfilter"
    IMAGE = "image"
    PRESET = "preset"
    DATACENTER = "datacenter"
    TASK = "task"
    USER = "user"
    TOKEN = "token"
    CREDENTIAL = "credential"
    LOGIN = "login"
    CONSOLE = "console"


class Severity(StrEnum):
    """Weight of an event."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
