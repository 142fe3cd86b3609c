"""The catalogue of migrations: the only SQL that the desk can run to change a database."""
