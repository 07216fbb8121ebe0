"""Hosts that the engine watches: connected, kept in sync, read when somebody looks."""
