"""Use cases over all nouns: dashboard, tree, search, datacenters, versions of definitions, readiness.

Public to other nouns: `versions`.
"""
