"""The mirror of VMs and their definitions.

Public to other nouns: `definitions`.
"""
