"""Use cases of VMs.

Public to other nouns: `cloud_init.known_drives`, `create.config_builder`, `power`, `records`.
"""
