"""Notifiers: the interface to people, and webhooks."""
