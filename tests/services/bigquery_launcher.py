"""Start bqemulator, with two of its habits changed: a program of its own.

* As it begins, it downloads an extension of DuckDB for GEOGRAPHY, and ends where it can't. Here it
  goes on without GEOGRAPHY.
* It refuses uploads whose content type is ``*/*``, which google-cloud-bigquery sends.

It takes the folder `buckets` for Cloud Storage, and writes the port of its Storage API into the
file `grpc-port`, both where it runs.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bqemulator.api.routes import upload
from bqemulator.cli import main
from bqemulator.domain.errors import InternalError
from bqemulator.server import EmulatorServer
from bqemulator.storage.engine import DuckDBEngine

load_spatial = DuckDBEngine._load_spatial
permits = upload._is_permitted_media_type
start = EmulatorServer.start


def load_spatial_if_there(engine: DuckDBEngine) -> None:
    with suppress(InternalError):
        load_spatial(engine)


def permit_any(content_type: str) -> bool:
    return content_type == "*/*" or bool(permits(content_type))


def tell(port: int) -> None:
    Path("grpc-port").write_text(str(port), "utf-8")
    print("ready for jobs", flush=True)


async def start_and_tell(server: EmulatorServer) -> None:
    await start(server)
    tell(server.grpc_port)


def replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


replace(DuckDBEngine, "_load_spatial", load_spatial_if_there)
replace(upload, "_is_permitted_media_type", permit_any)
replace(EmulatorServer, "start", start_and_tell)

if __name__ == "__main__":
    buckets = Path("buckets").absolute()
    buckets.mkdir(exist_ok=True)
    os.environ["BQEMU_GCS_LOCAL_ROOT"] = str(buckets)
    main()
