"""Flowstone: Python functions as observable, retried, recorded runs."""

__all__: list[str] = []
