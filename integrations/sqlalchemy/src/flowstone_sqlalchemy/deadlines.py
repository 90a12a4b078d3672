"""How long the run that we are in may still take; None until core tells."""

from __future__ import annotations


def seconds_left() -> float | None:
    return None
