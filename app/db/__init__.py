"""The database: models, sessions, queries. Knows no libvirt."""
