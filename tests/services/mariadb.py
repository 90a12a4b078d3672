"""MariaDB on this machine, where `make services` has installed it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.services.servers import (
    ROOT_NEEDED,
    Absent,
    Program,
    SecureServer,
    make_secure_server,
    serve,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


@contextmanager
def mariadb(shared: Path | None = None) -> Iterator[str]:
    """Start MariaDB and yield the URL of its database `mysql`, over TCP; 1 s."""
    with serve(_make_program("mariadb"), shared) as port:
        yield f"mysql://root@127.0.0.1:{port}/mysql"


@contextmanager
def mariadb_tls(shared: Path | None = None) -> Iterator[SecureServer]:
    """Start MariaDB, which refuses connections without TLS; 1 s."""
    from tests.services.certificates import find_authority  # other Pythons lack what makes them

    files = find_authority(hosts=("localhost",), address=None)
    given = {
        "ca.pem": files.ca.read_text(),
        "server.pem": files.certificate.read_text(),
        "key.pem": files.key.read_text(),
    }
    words = ("--ssl-cert={data}/server.pem", "--ssl-key={data}/key.pem", "--ssl-ca={data}/ca.pem")
    program = _make_program("mariadb-tls", (*words, "--require-secure-transport=ON"), given)
    with serve(program, shared) as port:
        yield make_secure_server("mysql://root@{host}:{port}/mysql", port, files)


def _make_program(
    name: str, words: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> Program:
    # Debian has servers in a folder that is on the path of root alone.
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    install, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    if install is None or server is None:
        raise Absent("mariadb", "mariadbd", ROOT_NEEDED)
    data = ("--no-defaults", "--datadir={data}")
    where = ("--bind-address=127.0.0.1", "--port={port}", "--socket={data}/socket")
    return Program(
        name,
        (
            (install, *data, "--auth-root-authentication-method=normal", "--skip-test-db"),
            *(write_file(file, content) for file, content in (files or {}).items()),
            (server, *data, *where, *words),
        ),
        says="ready for connections",
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
    )
