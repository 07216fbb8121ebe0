"""Use cases of VMs.

Public to other nouns: `cloud_init.drives`, `create.config_builder`, `power`, `records`.
"""
