"""The common parts of all stores over SQL: tables, statements, rows."""
