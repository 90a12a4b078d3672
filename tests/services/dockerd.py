"""A Docker engine for tests: `dockerd`, as root, without a bridge or rules in the firewall."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.services.servers import ROOT_NEEDED, Absent, Program, serve_in_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: An image without files: its containers mount this machine's ``/usr``, and run what is there.
IMAGE = "host:1"
_LINKS = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}


@dataclass(frozen=True)
class Docker:
    """An engine, which has `IMAGE`."""

    host: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads Docker's clients there."""
        return {"DOCKER_HOST": self.host}


@contextmanager
def docker(shared: Path | None = None) -> Iterator[Docker]:
    """Start an engine, and make the image; 2 s."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise Absent("docker", "dockerd as root", ROOT_NEEDED)
    command = (
        # What it mounts goes with its namespace.
        *("unshare", "--mount", "dockerd"),
        *("--data-root", "{data}/root", "--exec-root", "{data}/exec"),
        *("--pidfile", "{data}/pid", "--host", "unix://{data}/docker.sock"),
        *("--bridge", "none", "--iptables=false", "--ip6tables=false"),
        *("--host-gateway-ip", "127.0.0.1"),
    )
    program = Program("dockerd", (command,), says="API listen on")
    with serve_in_folder(program, shared) as (data, _):
        engine = Docker(f"unix://{data}/docker.sock")
        words = ["docker", "import", "-", IMAGE]
        environment = {**os.environ, **engine.environment}
        subprocess.run(words, input=_make_tree(), env=environment, check=True, capture_output=True)
        yield engine


def _make_tree() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tree:
        for name, target in _LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tree.addfile(link)
    return content.getvalue()
