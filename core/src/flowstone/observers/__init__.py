"""Observers: who is told of what a process has written, after it is kept."""

from flowstone.observers.audience import observing

__all__ = ["observing"]
