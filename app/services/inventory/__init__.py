"""Use cases over all nouns: dashboard, tree, search, datacenters, events, versions of definitions, readiness.

Public to other nouns: `versions`.
"""
