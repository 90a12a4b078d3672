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
    url: str

    @property
    def connection_string(self) -> str:
        login = f"AccountName={ACCOUNT};AccountKey={KEY}"
        return f"DefaultEndpointsProtocol=http;{login};BlobEndpoint={self.url};"


@contextmanager
def azurite(shared: Path | None = None) -> Iterator[Azurite]:
    """Start Azurite's Blob service; 2 s."""
    script = ROOT / ".cache/azurite/node_modules/azurite/dist/src/blob/main.js"
    node = shutil.which("node") or str(ROOT / ".cache/node/bin/node")
    if not script.exists() or shutil.which(node) is None:
        raise Absent("azurite", "Azurite in .cache", "`make test` brings it by npm")
    # The SDK is ahead of Azurite: it names a version of the API that Azurite has not heard of.
    words = ("--silent", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry")
    where = ("--blobHost", "127.0.0.1", "--blobPort", "{port}")
    program = Program("azurite", ((node, str(script), *words, *where),))
    with serve(program, shared) as port:
        yield Azurite(f"http://127.0.0.1:{port}/{ACCOUNT}")
