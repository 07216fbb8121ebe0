"""`vigie demo`: the console over real KVM hosts, and the documentation's screenshots of it."""
