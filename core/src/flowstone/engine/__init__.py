"""What happens to a run, from its birth to its end."""
