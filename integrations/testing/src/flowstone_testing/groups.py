"""Process groups on Linux."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def is_group_alive(handle: str) -> bool:
    """Return whether any process of a group runs; its handle is ``host/pid/start``."""
    group = handle.split("/")[1]
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append(path.read_text().rpartition(")")[2].split())
    return any(facts[2] == group and facts[0] not in "ZX" for facts in found)
