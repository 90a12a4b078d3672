"""A Ray cluster of `ray start`, as on another machine.

It runs in another working directory, with an empty home, and sees nothing of this process's paths
or environment.
"""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.services.killed import find_processes, make_environment
from tests.services.servers import SETUP, Absent, Program, serve_in_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For a program that imports Ray itself: to find a cluster that listens on loopback only, and not
#: to copy its environment there if `uv run` has started it.
PROGRAM = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


class RayCluster(NamedTuple):
    """A cluster of one node.

    Attributes:
        address: for programs on this machine.
        client_address: for Ray Client, from any machine.
        session: the folder of its files.
    """

    address: str
    client_address: str
    session: Path

    def find_processes(self) -> list[int]:
        """Return the processes of the cluster."""
        return find_processes(f"HOME={self.session.parent}\0")


def make_ray_environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a program that does not inherit this process's settings of Ray.

    A local Ray turns token authentication on, also for child processes. Such a program rejects the
    requests of a cluster without tokens, which therefore ends its actors.
    """
    environment = make_environment(folder)
    kept = {key: value for key, value in environment.items() if not key.startswith("RAY_")}
    return {**kept, **more}


@contextmanager
def ray_cluster(shared: Path | None = None, client_seconds: int = 300) -> Iterator[RayCluster]:
    """Start Ray, and yield where it is; 15 s.

    Ray forks a process for each Ray Client. gRPC's fork handlers abort one in four of them, and on
    a busy machine they need more than the 30 seconds that a client waits for them by default.
    """
    if find_spec("ray") is None:
        raise Absent("ray", "ray", SETUP)
    environment = {
        **PROGRAM,
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": str(client_seconds),
        "HOME": "{data}",
        "PATH": os.environ["PATH"],
    }
    start = [
        *("start", "--head", "--block", "--node-ip-address", "127.0.0.1", "--port", "0"),
        *("--ray-client-server-port", "{port}", "--include-dashboard", "false"),
        # More than there are: what waits for another task needs none.
        *("--num-cpus", "6", "--resources", '{"special": 2}'),
        *("--object-store-memory", "100000000", "--temp-dir", "{data}/ray"),
        # Any free ports: by default, the workers of two clusters on one machine take the same ones.
        *("--min-worker-port", "0", "--max-worker-port", "0", "--disable-usage-stats"),
    ]
    command = (
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())),
        *(sys.executable, "-m", "ray.scripts.scripts", *start),
    )
    program = Program("ray", (command,), says="Ray runtime started")
    with serve_in_folder(program, shared) as (folder, port):
        session = folder / "ray"
        address = (session / "ray_current_cluster").read_text("utf-8").strip()
        yield RayCluster(address, f"ray://127.0.0.1:{port}", session)


@contextmanager
def client_turn() -> Iterator[None]:
    """Wait until no other test connects by Ray Client.

    A cluster starts a server for each client, on the first port from 23000 on that is free. Two
    clusters on one machine that do so at once take the same port, and lead clients astray.
    """
    with Path(tempfile.gettempdir(), "flowstone-ray-client.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
