"""Large values passed from task to task on two Dask workers, in turns with `distributed` alone.

The bytes are those that go over the loopback interface, from any process.
"""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

if TYPE_CHECKING:
    import flowstone as library
    from flowstone_dask import DaskTaskRunner
else:
    library = import_module(sys.argv[1])
    DaskTaskRunner = import_module(f"{sys.argv[1]}_dask").DaskTaskRunner
count, size = int(sys.argv[2]), int(sys.argv[3])


def make(number: int) -> bytes:
    return bytes(size) + bytes([number % 256])


def measure(value: bytes) -> int:
    return len(value)


def read_bytes() -> int:
    """Return how many bytes have gone over the loopback interface."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    [loopback] = [line.split() for line in lines if line.lstrip().startswith("lo:")]
    return int(loopback[1])


def count_bytes(run: Callable[[], list[int]]) -> int:
    before = read_bytes()
    assert run() == [size + 1] * count
    return read_bytes() - before


def main() -> None:
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:

        @library.flow(task_runner=DaskTaskRunner(cluster=cluster))
        def ours() -> Any:
            made = library.task(make).map(range(count))
            return library.task(measure).map(made).result()

        def bare() -> Any:
            made = client.map(make, range(count), pure=False)
            return client.gather(client.map(measure, made, pure=False))

        moved = {"bare": count_bytes(bare), "ours": count_bytes(ours)}
    print(json.dumps({how: moved[how] / 1e6 for how in moved}))


if __name__ == "__main__":
    main()
