"""Paths inside each host of a lab, the same on all: its pools, and the kernel and initrd that its guests boot."""

LOCAL_POOL = "/var/lib/libvirt/images"
SHARED_POOL = "/var/lib/libvirt/shared"
POOLS = {"local": LOCAL_POOL, "shared": SHARED_POOL}
ASSETS = "/var/lib/vigie/assets"
