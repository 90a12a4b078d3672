"""The execution of runs, from their creation to their end."""
