"""The only code that knows libvirt, XML and SSH. Everything above it sees `Host` and `core.views`."""

from app.hypervisor.consoles import Line
from app.hypervisor.host import Host, see_identity
from app.hypervisor.loop import serve_many_threads
from app.hypervisor.relay import remove_directory
from app.hypervisor.targets import Secret, SshKey, SshPassword, Target, TlsIdentity

__all__ = [
    "Host",
    "Line",
    "Secret",
    "SshKey",
    "SshPassword",
    "Target",
    "TlsIdentity",
    "remove_directory",
    "see_identity",
    "serve_many_threads",
]
