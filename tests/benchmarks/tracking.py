"""What metrics of tasks cost on their way to an MLflow server, beside MLflow alone."""

from __future__ import annotations

import tempfile
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.benchmarks.rows import Row
from tests.services.mlflow import mlflow as serve

from flowstone import flow
from flowstone.testing import flowstone_test_harness
from flowstone_mlflow import MlflowTracking, log_metrics, mlflow_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.benchmarks.fresh import Library

TASKS = 10


@mlflow_task(persist_result=False)
def log_many(_: int, count: int) -> None:
    for step in range(count):
        log_metrics({"loss": 1 / (step + 1)}, step=step)


@flow
def log_mapped(count: int) -> None:
    log_many.map(range(TASKS), count=count // TASKS).result()


def metrics(count: int, rounds: int, peer: Library | None) -> list[Row]:
    """Measure a mapped flow that logs so many metrics, until the server has them all."""
    del peer  # Prefect has nothing for MLflow
    with serve() as url, tempfile.TemporaryDirectory(), flowstone_test_harness():
        tracking = MlflowTracking(tracking_uri=url, experiment="benchmark")
        tracking.client()

        def log_by_flow() -> None:
            with tracking.observe():
                log_mapped(count)

        log_by_flow()  # MLflow is imported from now on, and the experiment made
        ours, alone = [], []
        for _ in range(rounds):
            ours.append(_time(log_by_flow) / count)
            alone.append(_time(lambda: log_alone(tracking, count)) / count)
    what = f"a metric of a mapped flow, {count:,} over {TASKS} tasks, on a server"
    return [Row(what, median(ours), "ms", median(alone), "MLflow's log_metric", 1.0)]


def log_alone(tracking: MlflowTracking, count: int) -> None:
    """Log as many one by one, as code does that calls MLflow; the runs are nested, too."""
    client: Any = tracking.client()
    experiment = client.get_experiment_by_name("benchmark").experiment_id
    parent = client.create_run(experiment).info.run_id
    for _ in range(TASKS):
        child = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        for step in range(count // TASKS):
            client.log_metric(child, "loss", 1 / (step + 1), step=step)
        client.set_terminated(child)
    client.set_terminated(parent)


def _time(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return 1000 * (perf_counter() - begin)
