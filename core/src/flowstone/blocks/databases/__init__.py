"""Databases: the interface that flows use, and SQLite."""
