"""Where facts and documents are kept, several ways: in memory, in an SQLite file."""
