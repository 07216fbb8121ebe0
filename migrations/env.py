"""Not used: app.db.migrate sets Alembic up in code, for the server, the command line and the tests alike."""
