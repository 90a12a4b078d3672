"""Tasks on two workers of a cluster, in turns with the cluster's own calls alone.

The bytes are those that go over the loopback interface, from any process.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import flowstone as library
else:
    library = import_module(sys.argv[1])
engine, what = sys.argv[2:4]
count, number = map(int, sys.argv[4:6])


class Workers(NamedTuple):
    """Two workers.

    Attributes:
        task_runner: of the library, on them.
        submit: calls a function with each of many arguments there, and returns what stands for
            the results.
        gather: returns the results.
    """

    task_runner: Any
    submit: Callable[[Callable[..., Any], Any], Any]
    gather: Callable[[Any], Any]


@contextmanager
def start_dask(_: int) -> Iterator[Workers]:
    """Start two workers of Dask."""
    from distributed import Client, LocalCluster  # one engine is measured

    runner = import_module(f"{library.__name__}_dask").DaskTaskRunner
    options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        yield Workers(
            runner(cluster=cluster),
            lambda fn, arguments: client.map(fn, arguments, pure=False),
            client.gather,
        )


@contextmanager
def start_ray(memory: int) -> Iterator[Workers]:
    """Start two nodes of Ray, with a worker each, beside the one that the program is on.

    Args:
        memory: bytes that a node holds.
    """
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # no workers of `uv run` in a copy of this
    import ray  # one engine is measured
    from ray.cluster_utils import Cluster  # as above

    runner = import_module(f"{library.__name__}_ray").RayTaskRunner
    options: dict[str, Any] = {"object_store_memory": max(80_000_000, memory)}
    cluster: Any = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, **options},
    )
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **options)
        cluster.wait_for_nodes()
        ray.init(cluster.address, log_to_driver=False)

        def submit(fn: Callable[..., Any], arguments: Any) -> list[Any]:
            remote: Any = ray.remote(fn)
            return [remote.remote(each) for each in arguments]

        yield Workers(runner(), submit, ray.get)
        ray.shutdown()
    finally:
        cluster.shutdown()


START = {"dask": start_dask, "ray": start_ray}


def work(number: int) -> int:
    end = perf_counter() + 0.001
    while perf_counter() < end:
        pass
    return number


def measure_calls(run: Callable[[int], Any]) -> float:
    """Return the microseconds that each call takes."""
    began = perf_counter()
    assert sum(run(count)) == count * (count - 1) // 2
    return 1e6 * (perf_counter() - began) / count


def compare_calls(rounds: int) -> dict[str, float]:
    """Map a task of a millisecond."""
    with START[engine](0) as workers:

        @library.flow(task_runner=workers.task_runner)
        def mapped(count: int) -> Any:
            return library.task(work).map(range(count)).result()

        def bare(count: int) -> Any:
            return workers.gather(workers.submit(work, range(count)))

        mapped(20)
        bare(20)
        ours, floors = [], []
        for _ in range(rounds):
            floors.append(measure_calls(bare))
            ours.append(measure_calls(mapped))
    return {"ours": median(ours), "bare": median(floors)}


def make(number: int) -> bytes:
    return bytes(size) + bytes([number % 256])


def measure(value: bytes) -> int:
    return len(value)


def read_bytes() -> int:
    """Return how many bytes have gone over the loopback interface."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    [loopback] = [line.split() for line in lines if line.lstrip().startswith("lo:")]
    return int(loopback[1])


def count_bytes(run: Callable[[], list[int]]) -> float:
    """Return how many megabytes move."""
    before = read_bytes()
    assert run() == [size + 1] * count
    return (read_bytes() - before) / 1e6


def compare_bytes() -> dict[str, float]:
    """Pass large values from task to task."""
    with START[engine](count * size) as workers:

        @library.flow(task_runner=workers.task_runner)
        def ours() -> Any:
            made = library.task(make).map(range(count))
            return library.task(measure).map(made).result()

        def bare() -> Any:
            made = workers.submit(make, range(count))
            return workers.gather(workers.submit(measure, made))

        return {"bare": count_bytes(bare), "ours": count_bytes(ours)}


size = number
if __name__ == "__main__":
    print(json.dumps(compare_calls(number) if what == "calls" else compare_bytes()))
