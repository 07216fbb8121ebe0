"""The lab's KVM hosts: processes in namespaces, with a network, keys, settings and faults of their own."""
