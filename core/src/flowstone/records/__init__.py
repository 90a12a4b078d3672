"""Frozen records of stored and sent data, and their common encoding."""
