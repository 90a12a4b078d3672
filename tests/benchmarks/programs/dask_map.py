"""A task of a millisecond mapped over two Dask workers, in turns with `distributed` alone."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

if TYPE_CHECKING:
    import flowstone as library
    from flowstone_dask import DaskTaskRunner
else:
    library = import_module(sys.argv[1])
    DaskTaskRunner = import_module(f"{sys.argv[1]}_dask").DaskTaskRunner
count, rounds = int(sys.argv[2]), int(sys.argv[3])


def work(number: int) -> int:
    end = perf_counter() + 0.001
    while perf_counter() < end:
        pass
    return number


def measure(run: Callable[[int], Any]) -> float:
    """Return the microseconds that each call takes."""
    began = perf_counter()
    assert sum(run(count)) == count * (count - 1) // 2
    return 1e6 * (perf_counter() - began) / count


def main() -> None:
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:

        @library.flow(task_runner=DaskTaskRunner(cluster=cluster))
        def mapped(count: int) -> Any:
            return library.task(work).map(range(count)).result()

        def bare(count: int) -> Any:
            return client.gather(client.map(work, range(count), pure=False))

        mapped(20)
        bare(20)
        ours, floors = [], []
        for _ in range(rounds):
            floors.append(measure(bare))
            ours.append(measure(mapped))
    print(json.dumps({"ours": median(ours), "bare": median(floors)}))


if __name__ == "__main__":
    main()
