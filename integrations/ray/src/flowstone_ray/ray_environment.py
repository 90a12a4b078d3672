"""Environment variables that Ray reads."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Off unless set otherwise: in a program that `uv run` started, Ray would upload the working
#: directory to the cluster, and make an environment there in which it may find no Ray.
_COPIES_UV_RUN = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
#: With 0, a local Ray listens on the loopback interface only, on any system.
_TAKES_OTHER_NODES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


def find_address() -> str | None:
    """Return the address of the cluster that the environment names."""
    return os.environ.get("RAY_ADDRESS") or None


@contextmanager
def ray_environment(*, is_local: bool) -> Iterator[None]:
    """Set Flowstone's defaults of Ray's variables in the block; then restore the environment.

    Ray reads them when it is imported. `ray.init` sets others for a local Ray that it starts; they
    would be wrong for another cluster.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    os.environ.setdefault(_COPIES_UV_RUN, "0")
    if is_local:
        os.environ.setdefault(_TAKES_OTHER_NODES, "0")
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            del os.environ[name]
        os.environ.update(before)
