"""Collectors: for each kind of thing on hosts, what is read, how often, how readings merge, and what is written."""
