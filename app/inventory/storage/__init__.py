"""The mirror of storage pools and volumes."""
