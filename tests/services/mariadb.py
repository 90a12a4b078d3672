"""MariaDB on this machine, where `make services` has installed it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.services.servers import ROOT_NEEDED, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def mariadb(shared: Path | None = None) -> Iterator[str]:
    """Start MariaDB and yield the URL of its database `mysql`, over TCP; 1 s."""
    # Debian has servers in a folder that is on the path of root alone.
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    install, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    if install is None or server is None:
        raise Absent("mariadb", "mariadbd", ROOT_NEEDED)
    data = ("--no-defaults", "--datadir={data}")
    program = Program(
        "mariadb",
        (
            (install, *data, "--auth-root-authentication-method=normal", "--skip-test-db"),
            (server, *data, "--bind-address=127.0.0.1", "--port={port}", "--socket={data}/socket"),
        ),
        says="ready for connections",
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
    )
    with serve(program, shared) as port:
        yield f"mysql://root@127.0.0.1:{port}/mysql"
