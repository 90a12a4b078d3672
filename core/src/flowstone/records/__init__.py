"""Frozen records of what is kept and sent, and their one encoding."""
