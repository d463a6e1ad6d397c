"""All SQL: the only package that knows SQLite from PostgreSQL."""
