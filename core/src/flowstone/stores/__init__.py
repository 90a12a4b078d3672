"""Stores of events, documents and slots: in memory, or in an SQLite file."""
