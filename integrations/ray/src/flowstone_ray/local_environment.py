"""Environment variables that Ray reads."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: With 0, a local Ray listens on the loopback interface only, on any system.
_TAKES_OTHER_NODES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def find_address() -> str | None:
    """Return the address of the cluster that the environment names."""
    return os.environ.get("RAY_ADDRESS") or None


@contextmanager
def local_environment() -> Iterator[None]:
    """Keep a Ray that is started in the block on this machine; then restore the environment.

    `ray.init` sets variables for the Ray that it starts; they would be wrong for another cluster.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    os.environ.setdefault(_TAKES_OTHER_NODES, "0")
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            del os.environ[name]
        os.environ.update(before)
