"""`vigie bench`: what Vigie takes, beside bare libvirt-python and virsh."""
