"""Files of simulated hosts, for libvirt's test driver: one XML per host with its VMs, pools and networks.

The driver takes no host name and no host UUID from a file (libvirt 9.0: `virsh hostname` is the machine's,
and capabilities have no UUID), so a host is told apart by its file alone.
"""

from pathlib import Path
from uuid import NAMESPACE_DNS, UUID, uuid5

ROLES = ("web", "db", "app", "mail", "ci", "build", "files", "proxy", "monitor")
# libvirt's numbers: 1 running, 3 paused, 5 shut off. Of 18 VMs 13 run, 1 is paused, 4 are off.
STATES = (1, 1, 1, 5, 1, 1, 1, 1, 5, 1, 1, 3, 1, 1, 5, 1, 1, 5)
SPACE = uuid5(NAMESPACE_DNS, "fleet.vigie.invalid")

NODE = """\
<node>
<cpu><mhz>2600</mhz><model>x86_64</model><active>{cpus}</active><nodes>2</nodes><sockets>1</sockets>\
<cores>{cores}</cores><threads>2</threads></cpu>
<memory>{memory_kib}</memory>
{domains}<network><name>default</name><uuid>{default_uuid}</uuid><forward mode='nat'/><bridge name='virbr0'/>\
<ip address='192.168.122.1' netmask='255.255.255.0'>\
<dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>
<network><name>lan</name><uuid>{lan_uuid}</uuid><forward mode='bridge'/><bridge name='br0'/></network>
<pool type='dir'><name>local</name><uuid>{local_uuid}</uuid>\
<target><path>/var/lib/libvirt/images</path></target>
{volumes}</pool>
<pool type='netfs'><name>shared</name><uuid>{shared_uuid}</uuid><source><host name='nas.invalid'/>\
<dir path='/export/vms'/><format type='nfs'/></source><target><path>/mnt/shared</path></target></pool>
</node>
"""

DOMAIN = """\
<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>\
<name>{name}</name><uuid>{uuid}</uuid>\
<title>{title}</title><memory unit='MiB'>{memory_mib}</memory><vcpu>{vcpus}</vcpu>\
<os><type arch='x86_64'>hvm</type></os><features><acpi/></features><devices>\
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>\
<source file='/var/lib/libvirt/images/{name}.qcow2'/><target dev='vda' bus='virtio'/></disk>\
<interface type='network'><mac address='{mac}'/><source network='{network}'/>\
<model type='virtio'/></interface>\
<graphics type='vnc' port='-1' autoport='yes'/></devices><test:runstate>{state}</test:runstate></domain>
"""

VOLUME = """\
<volume><name>{name}.qcow2</name><capacity unit='GiB'>20</capacity><allocation unit='GiB'>2</allocation>\
<target><path>/var/lib/libvirt/images/{name}.qcow2</path><format type='qcow2'/></target></volume>
"""


def host_name(number: int) -> str:
    """The name to give to the nth simulated host."""
    return f"sim-{number:04d}"


def host_uuid(number: int) -> UUID:
    """A UUID to give to the nth simulated host; libvirt does not report it."""
    return uuid5(SPACE, host_name(number))


def write_node(path: Path, number: int, vms: int) -> None:
    """Write the file of the nth host (from 1) with so many VMs. Equal numbers give equal files."""
    host = host_uuid(number)
    names = [f"{ROLES[(number + index) % len(ROLES)]}-{number:04d}-{index + 1:02d}" for index in range(vms)]
    path.write_text(
        NODE.format(
            cpus=16 * (1 + number % 4),
            cores=4 * (1 + number % 4),
            memory_kib=(64 + 64 * (number % 4)) * 1024**2,
            domains="".join(_domain(host, number, index, name) for index, name in enumerate(names)),
            volumes="".join(VOLUME.format(name=name) for name in names),
            default_uuid=uuid5(host, "network default"),
            lan_uuid=uuid5(host, "network lan"),
            local_uuid=uuid5(host, "pool local"),
            shared_uuid=uuid5(host, "pool shared"),
        )
    )


def _domain(host: UUID, number: int, index: int, name: str) -> str:
    return DOMAIN.format(
        name=name,
        uuid=uuid5(host, f"vm {index}"),
        title=f"{name.split('-')[0].capitalize()} server {index + 1} of host {number}",
        memory_mib=1024 * (1 + index % 4),
        vcpus=1 + index % 4,
        mac=f"52:54:{number >> 8 & 255:02x}:{number & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}",
        network=("default", "lan")[index % 2],
        state=STATES[index % len(STATES)],
    )
