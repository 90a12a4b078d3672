"""Background tasks: calls that are kept in the store until a process that serves the task comes."""
