"""PgBouncer before a PostgreSQL of its own or of the run, where `make services` has installed it.

What stands in its file is described in https://www.pgbouncer.org/config.html.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.services.postgres import postgres
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
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USERS = '"postgres" ""\n'
#: Several sessions of the server, taken in turn: whatever one of them keeps, is missing or in the
#: way in the next statement.
POOLING = {"pool_mode": "transaction", "min_pool_size": "3", "server_round_robin": "1"}


@contextmanager
def pgbouncer(shared: Path | None = None) -> Iterator[str]:
    """Start PgBouncer in transaction mode and yield the URL of `postgres` through it; 1 s."""
    with _serve("pgbouncer", shared, POOLING) as port:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def postgres_tls(shared: Path | None = None) -> Iterator[SecureServer]:
    """Start PostgreSQL with TLS by PgBouncer: the server of the wheel is built without it; 2 s."""
    from tests.services.certificates import find_authority  # other Pythons lack what makes them

    files = find_authority(hosts=("localhost",), address=None)
    settings = {
        "pool_mode": "session",
        "client_tls_sslmode": "require",
        "client_tls_cert_file": "{data}/server.pem",
        "client_tls_key_file": "{data}/key.pem",
    }
    given = {"server.pem": files.certificate.read_text(), "key.pem": files.key.read_text()}
    with _serve("postgres-tls", shared, settings, given) as port:
        yield make_secure_server("postgresql://postgres@{host}:{port}/postgres", port, files)


@contextmanager
def _serve(
    name: str,
    shared: Path | None,
    settings: Mapping[str, str],
    files: Mapping[str, str] | None = None,
) -> Iterator[int]:
    # Debian has it in a folder that is on the path of root alone.
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        raise Absent(name, "pgbouncer", ROOT_NEEDED)
    with postgres(shared) as url:
        server = url.rpartition(":")[2].partition("/")[0]
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": "{port}",
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": "{data}/users.txt",
            "max_client_conn": "200",
            "default_pool_size": "50",
            **settings,
        }
        ini = "".join(f"{key} = {value}\n" for key, value in lines.items())
        ini = f"[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\n{ini}"
        contents = {"users.txt": USERS, "pgbouncer.ini": ini, **(files or {})}
        program = Program(
            name,
            (
                *(write_file(file, content) for file, content in contents.items()),
                (found, "{data}/pgbouncer.ini"),
            ),
            says="process up",
            user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
        )
        with serve(program, shared) as port:
            yield port
