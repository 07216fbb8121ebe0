"""Use cases of hosts and of the credentials that open them.

Public to other nouns: `manageable`.
"""
