"""BigQuery on this machine: bqemulator, over REST and gRPC."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.services.servers import SETUP, Absent, Program, serve_in_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
#: The folder, in that of the server, whose folders it takes for buckets; see bigquery_launcher.py.
BUCKETS, GRPC_PORT = "buckets", "grpc-port"


@dataclass(frozen=True, slots=True)
class Emulator:
    """Where an emulator of BigQuery listens.

    Attributes:
        url: of its REST API.
        storage: of its Storage API, over gRPC.
        buckets: the folder whose folders it takes for buckets of Cloud Storage.
    """

    url: str
    storage: str
    buckets: Path


@contextmanager
def bigquery(shared: Path | None = None) -> Iterator[Emulator]:
    """Start bqemulator; 6 s."""
    if find_spec("bqemulator") is None:
        raise Absent("bigquery", "bqemulator", SETUP)
    launcher = str(HERE / "bigquery_launcher.py")
    program = Program(
        "bigquery",
        ((sys.executable, launcher, "start", "--rest-port", "{port}", "--grpc-port", "0"),),
        says="ready for jobs",
    )
    with serve_in_folder(program, shared) as (folder, port):
        storage = (folder / GRPC_PORT).read_text("utf-8")
        yield Emulator(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{storage}", folder / BUCKETS)
