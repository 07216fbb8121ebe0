"""Simulated fleets: thousands of hosts by libvirt's test driver, with `vigie lab fleet`."""
