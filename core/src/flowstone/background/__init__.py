"""Background tasks: calls are stored until a process that serves the task executes them."""
