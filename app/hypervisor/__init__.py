"""The only code that knows libvirt, XML and SSH. Everything above it sees `Host` and `core.views`."""

from app.hypervisor.consoles.open_consoles import Line
from app.hypervisor.host.connection_cache import HostConnectionCache
from app.hypervisor.host.host import Host, see_identity
from app.hypervisor.host.probe import HostProbe, HostProber
from app.hypervisor.transport.relay import remove_directory
from app.hypervisor.transport.targets import Secret, SshKey, SshPassword, Target, TlsIdentity
from app.hypervisor.transport.transport_loop import serve_many_threads

__all__ = [
    "Host",
    "HostConnectionCache",
    "HostProbe",
    "HostProber",
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
