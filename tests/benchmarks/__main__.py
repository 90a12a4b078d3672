"""`make bench`: the budgets of the house, as ratios.

With `ARGS=--peer` it asks Prefect as well; with `ARGS=--long` it goes to a million
tasks and to an object of 1 GB. `ARGS=instructions` counts instructions by valgrind.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from tests.benchmarks import (
    blobs,
    instructions,
    nodes,
    peer,
    scale,
    starts,
    stores,
    tasks,
    ticks,
    tracking,
    transfers,
    validations,
    warehouses,
    work_pools,
)
from tests.benchmarks.bulk import Load, bulk
from tests.benchmarks.calibration import calibration
from tests.benchmarks.fresh import Library
from tests.benchmarks.rows import Row, show
from tests.services.servers import Absent

Benchmark = Callable[[Library | None], list[Row]]

#: They run only when they are named: they take minutes, and need what is not installed everywhere.
NAMED = {"instructions"}


def benchmarks(*, tiny: bool = False, long: bool = False) -> dict[str, Benchmark]:
    """Return the benchmarks by name; tiny ones only show that they run, long ones take minutes."""
    rounds, count = (2, 50) if tiny else (15, 10_000)
    counts = [50, 100] if tiny else [1_000, 10_000, 100_000]
    many = counts if tiny else [1_000, 10_000, 1_000_000 if long else 100_000]
    large = (20, 20, 10) if tiny else (10_000, 10_000 if long else 1_000, 1024)
    files, kilobytes = (3, 1) if tiny else (200, 64)
    loads = [Load(1_000, 100_000), Load(1, 10**9 if long else 2 * 10**8)]
    bulk_args = ([Load(3, 1_000)], 1) if tiny else (loads, 5)
    whole = (100, 100, 100) if tiny else (5_000_000, 5_000_000, 1_000_000)
    calls, values = ((50, 1), (4, 200_000)) if tiny else ((10_000, 3), (200, 10_000_000))
    streamed = 100 if tiny else 10_000_000 if long else 2_000_000
    return {
        "calibration": partial(calibration, 1_000 if tiny else 1_000_000),
        "import": lambda peer: starts.imports(rounds, peer),
        "hello": lambda peer: starts.hello(rounds, peer),
        "help": lambda peer: starts.command(rounds, peer),
        "discovery": lambda peer: starts.discovery(min(rounds, 7), peer),
        "sequence": partial(tasks.sequence, count),
        "map": partial(tasks.mapped, count),
        "processes": partial(tasks.processes, count // 5),
        "dask": partial(tasks.cluster, "dask", *calls),
        "dask_values": partial(tasks.cluster_values, "dask", *values),
        "cache": partial(tasks.cache, count // 5),
        "memory": partial(tasks.memory, counts),
        "ray": partial(tasks.cluster, "ray", *calls),
        "ray_values": partial(tasks.cluster_values, "ray", *values),
        "million": partial(scale.million, many),
        "results": partial(scale.results, *large),
        "folders": partial(transfers.folders, files, kilobytes),
        "objects": partial(transfers.objects, 3 if tiny else 200, 16),
        "bulk": partial(bulk, *bulk_args),
        "blobs": partial(blobs.blobs, bulk_args[0][0], bulk_args[1]),
        "tables": partial(warehouses.tables, *whole),
        "streams": partial(warehouses.streams, streamed),
        "stores": partial(stores.stores, 100 if tiny else 100_000, min(rounds, 7)),
        "ticks": partial(ticks.ticks, 20 if tiny else 10_000, rounds),
        "due_runs": partial(work_pools.due_runs, rounds),
        "claims": partial(work_pools.claims, *((20, 5) if tiny else (10_000, 500))),
        "dbt": partial(nodes.nodes, *((20, 1) if tiny else (500, 3))),
        "mlflow": partial(tracking.metrics, *((100, 1) if tiny else (1_000, 5))),
        "validations": partial(validations.validations, *((2_000, 1) if tiny else (1_000_000, 5))),
        "instructions": partial(instructions.instructions, 10 if tiny else 2_000),
    }


def main() -> int:
    known = benchmarks()
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", choices=[*known, []], metavar="|".join(known))
    parser.add_argument("--peer", action="store_true", help="measure Prefect, too")
    parser.add_argument(
        "--long", action="store_true", help="a million tasks, 1 GB objects; some minutes"
    )
    parser.add_argument("--tiny", action="store_true", help="only show that they run")
    asked = parser.parse_args()
    other = peer.install() if asked.peer else None
    known = benchmarks(tiny=asked.tiny, long=asked.long)
    rows: list[Row] = []
    names = asked.names or [name for name in known if name not in NAMED]
    # A line of what the machine is like stands above every table.
    for name in dict.fromkeys(["calibration", *names]):
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            rows += known[name](other)
        except Absent as absent:
            print(f"{name} was not measured: {absent}", file=sys.stderr)
        except BaseException:
            show(rows, peer=asked.peer)  # what took minutes is not lost
            raise
    show(rows, peer=asked.peer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
