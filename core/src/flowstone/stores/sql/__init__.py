"""What every store over SQL does: tables, statements, rows."""
