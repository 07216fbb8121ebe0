"""The power verbs of VMs: what each is, and how it is asked for one VM or many."""

from app.services.vms.power import restore, save, start, verbs
from app.services.vms.power.power_operation import VERBS, PowerOperation
from app.services.vms.power.request import act, act_many, allowed_verbs

__all__ = ["VERBS", "PowerOperation", "act", "act_many", "allowed_verbs", "restore", "save", "start", "verbs"]
