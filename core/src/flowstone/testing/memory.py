"""Services in memory, for tests: nothing is kept, and nothing touches the disk."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from os import urandom
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING
from uuid import uuid4

from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services


def memory_services(home: Path | None = None, *, key: str | None = None) -> Services:
    """Return services whose stores are empty and in memory.

    Args:
        home: where a secret key file is made; None uses a key that is forgotten with them, and a
            home that is never made.
        key: seals secrets in place of that; for documents that outlive the services.
    """
    if home is not None:
        return open_services(Settings(home=home, store="memory"))
    nowhere = Path(gettempdir()) / f"flowstone-{uuid4().hex}"
    key = key or b64encode(urandom(32)).decode()
    return open_services(Settings(home=nowhere, store="memory", secret_key=key))


@contextmanager
def flowstone_test_harness() -> Iterator[Services]:
    """Run flows in memory inside the block, in a store of its own; blocks may nest.

    It takes a few milliseconds, starts no server, reads no settings and leaves nothing behind.
    """
    services = memory_services()
    with current.use_services(services):
        try:
            yield services
        finally:
            services.close()
