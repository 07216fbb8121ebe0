"""The lab: real KVM hosts, and simulated fleets, on one machine. Nothing else in Vigie imports this package."""
