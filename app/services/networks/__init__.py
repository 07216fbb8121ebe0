"""Use cases of networks and network filters.

Public to other nouns: `change`.
"""
