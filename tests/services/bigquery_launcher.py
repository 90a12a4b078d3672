"""Start bqemulator, with two of its habits changed: a program of its own.

* As it begins, it downloads extensions of DuckDB, for GEOGRAPHY and Avro, and where a network
  answers nothing, waits minutes for each. Here it downloads nothing, and has neither.
* It refuses uploads whose content type is ``*/*``, which google-cloud-bigquery sends.

It takes the folder `buckets` for Cloud Storage, and writes the port of its Storage API into the
file `grpc-port`, both where it runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from bqemulator.api.routes import upload
from bqemulator.cli import main
from bqemulator.server import EmulatorServer
from bqemulator.storage.engine import DuckDBEngine

permits = upload._is_permitted_media_type
start = EmulatorServer.start


def leave_out_spatial(engine: DuckDBEngine) -> None:
    del engine


def permit_any(content_type: str) -> bool:
    return content_type == "*/*" or bool(permits(content_type))


def tell(port: int) -> None:
    Path("grpc-port").write_text(str(port), "utf-8")
    print("ready for jobs", flush=True)


async def start_and_tell(server: EmulatorServer) -> None:
    await start(server)
    tell(server.grpc_port)


CHANGED: list[tuple[object, str, object]] = [
    (DuckDBEngine, "_load_spatial", leave_out_spatial),
    (upload, "_is_permitted_media_type", permit_any),
    (EmulatorServer, "start", start_and_tell),
]

if __name__ == "__main__":
    for place, name, ours in CHANGED:
        setattr(place, name, ours)
    buckets = Path("buckets").absolute()
    buckets.mkdir(exist_ok=True)
    os.environ["BQEMU_ENABLE_FORMAT_EXTENSIONS"] = "false"
    os.environ["BQEMU_GCS_LOCAL_ROOT"] = str(buckets)
    main()
