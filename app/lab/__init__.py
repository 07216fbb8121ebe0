"""The lab: real KVM hosts, and simulated fleets, on one machine. The rest of Vigie never imports it."""
