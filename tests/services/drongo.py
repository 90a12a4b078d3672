"""Google's Secret Manager on this machine: drongo, over REST."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tests.services.servers import SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def drongo(shared: Path | None = None) -> Iterator[str]:
    """Start drongo, and yield its address; 1.5 s."""
    if find_spec("drongo") is None:
        raise Absent("drongo", "drongo", SETUP)
    words = ("-m", "drongo.cli", "server", "--host", "127.0.0.1", "--port", "{port}")
    with serve(Program("drongo", ((sys.executable, *words),)), shared) as port:
        yield f"http://127.0.0.1:{port}"
