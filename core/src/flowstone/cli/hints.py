"""Type hints in readable form."""

from __future__ import annotations

import re


def format_hint(annotation: object) -> str:
    """Return a type hint without the modules of its names."""
    if isinstance(annotation, str):
        text = annotation
    elif isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        text = annotation.__name__
    else:
        text = str(annotation)
    return re.sub(r"[A-Za-z_][\w.]*\.(?=\w)", "", text)
