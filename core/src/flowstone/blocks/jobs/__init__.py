"""Jobs: the interface to work done elsewhere, and commands in a shell."""
