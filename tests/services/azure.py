"""Azure's Blob Storage on this machine: Azurite."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.services.servers import ROOT, Absent, Program, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Azurite's own account and key, which its documentation gives.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Azurite:
    """Where it is, and by https the certificate that a client has to trust."""

    url: str
    ca: Path | None = None

    @property
    def connection_string(self) -> str:
        login = f"AccountName={ACCOUNT};AccountKey={KEY}"
        scheme = self.url.partition(":")[0]
        return f"DefaultEndpointsProtocol={scheme};{login};BlobEndpoint={self.url};"


@contextmanager
def azurite(shared: Path | None = None, keep: Path | None = None) -> Iterator[Azurite]:
    """Start Azurite's Blob service; 2 s.

    Args:
        shared: see `serve`.
        keep: a folder for its blobs, which stays; by default they are in memory.
    """
    with serve(_make_program("azurite", keep=keep), shared) as port:
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}")


@contextmanager
def azurite_loose(shared: Path | None = None) -> Iterator[Azurite]:
    """Start Azurite's Blob service, which ignores what it lacks, such as keys, and refuses nothing.

    What is tested there is what it is told, by a recorder before it.
    """
    with serve(_make_program("azurite-loose", "--loose"), shared) as port:
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}")


@contextmanager
def azurite_tls(shared: Path | None = None) -> Iterator[Azurite]:
    """Start Azurite's Blob service by https, where it takes tokens of Entra's, too.

    It reads what is in a token, and leaves the signature alone.
    """
    # Other Pythons lack what makes certificates, and don't run this.
    from tests.services.certificates import find_authority

    files = find_authority()
    words = ("--oauth", "basic", "--cert", str(files.certificate), "--key", str(files.key))
    with serve(_make_program("azurite-tls", *words), shared) as port:
        yield Azurite(f"https://127.0.0.1:{port}/{ACCOUNT}", files.ca)


def _make_program(name: str, *words: str, keep: Path | None = None) -> Program:
    script = ROOT / ".cache/azurite/node_modules/azurite/dist/src/blob/main.js"
    node = shutil.which("node") or str(ROOT / ".cache/node/bin/node")
    if not script.exists() or shutil.which(node) is None:
        raise Absent("azurite", "Azurite in .cache", "`make test` brings it by npm")
    # The SDK is ahead of Azurite: it names a version of the API that Azurite has not heard of.
    usual = ("--silent", "--skipApiVersionCheck", "--disableTelemetry")
    files = ("--location", "{data}") if keep else ("--inMemoryPersistence",)
    where = ("--blobHost", "127.0.0.1", "--blobPort", "{port}")
    command = (node, str(script), *usual, *files, *where, *words)
    return Program(name, (command,), keep=str(keep or ""))
