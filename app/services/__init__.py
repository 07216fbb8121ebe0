"""Use cases: permission, rule, write, audit. One function for each thing a person can ask for."""
