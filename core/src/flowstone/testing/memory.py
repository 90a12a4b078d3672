"""Services in memory, for tests: nothing is saved, and nothing is left on the disk."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from os import getpid, urandom
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from typing import TYPE_CHECKING
from uuid import uuid4
from weakref import finalize

from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services


def memory_services(home: Path | None = None, *, key: str | None = None) -> Services:
    """Return services whose stores are empty and in memory.

    Args:
        home: the directory for a secret key file; None for a temporary key, and a temporary home
            that is deleted with the services, or when the process exits.
        key: the key that seals secrets instead; for documents that outlive the services.
    """
    if home is not None:
        return open_services(Settings(home=home, store="memory"))
    nowhere = Path(gettempdir()) / f"flowstone-{uuid4().hex}"
    key = key or b64encode(urandom(32)).decode()
    services = open_services(Settings(home=nowhere, store="memory", secret_key=key))
    finalize(services.documents, _remove_home, nowhere, getpid())
    return services


def _remove_home(home: Path, pid: int) -> None:
    """Delete a home, unless this process is a fork of the one that owns it."""
    if getpid() == pid:
        rmtree(home, ignore_errors=True)


@contextmanager
def flowstone_test_harness() -> Iterator[Services]:
    """Run flows in memory inside the block, in a separate store; blocks may be nested.

    It takes a few milliseconds, starts no server, reads no settings and leaves nothing behind.
    """
    services, pid = memory_services(), getpid()
    with current.use_services(services):
        try:
            yield services
        finally:
            services.close()
            _remove_home(services.settings.home, pid)
