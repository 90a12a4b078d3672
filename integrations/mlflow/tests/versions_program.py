"""The program that `test_versions` runs in each environment: everything that uses MLflow."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression

from flowstone import flow
from flowstone.task_runners import ProcessPoolTaskRunner
from flowstone_mlflow import (
    MlflowTracking,
    TrackingMissing,
    autolog,
    log_dataset,
    log_dict,
    log_metrics,
    mlflow_load_model,
    mlflow_log_model,
    mlflow_promote_model,
    mlflow_set_alias,
    mlflow_task,
)

ROWS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


@mlflow_task(task_run_name="train")
def train(loss: float) -> None:
    log_metrics({"loss": loss})
    if not loss:
        with autolog("sklearn", log_models=False):
            LogisticRegression(C=0.5).fit(ROWS, LABELS)


@mlflow_task(task_run_name="fail")
def fail() -> None:
    raise ValueError("no rows")


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2), flow_run_name="search")
def search(name: str) -> list[int]:
    train.map([0.0, 1.0, 2.0]).result()
    fail(return_state=True)
    log_dict({"rows": 4}, "rows.json")
    log_dataset(pd.DataFrame({"age": [31.0]}), name="people", context="training")
    model = LogisticRegression().fit(ROWS, LABELS)
    logged = mlflow_log_model(model, "classifier", registered_model_name=name)
    mlflow_set_alias(name, "challenger", str(logged.version))
    mlflow_promote_model(name)
    loaded: Any = mlflow_load_model(f"models:/{name}@champion")
    return [int(each) for each in loaded.predict(ROWS)]


def check(uri: str) -> dict[str, Any]:
    tracking = MlflowTracking(tracking_uri=uri, experiment="versions")
    with tracking.observe():
        predicted = search("churn")
    client = tracking.client()
    experiment = client.get_experiment_by_name("versions")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    statuses: dict[str, str] = {}
    for run in runs:
        name = run.info.run_name
        statuses[name] = f"{statuses.get(name, '')} {run.info.status}".strip()
    (parent,) = [run for run in runs if run.info.run_name == "search"]
    parents = [run.data.tags.get("mlflow.parentRunId") for run in runs]
    found = [run.data for run in runs]
    inputs: Any = parent.inputs
    try:
        mlflow_load_model("models:/absent@champion", tracking=tracking)
        is_refused = False
    except TrackingMissing:
        is_refused = True
    return {
        "statuses": statuses,
        "children": parents.count(parent.info.run_id),
        "losses": sorted(data.metrics["loss"] for data in found if "loss" in data.metrics),
        "parameters": [data.params["C"] for data in found if "C" in data.params],
        "files": [each.path for each in client.list_artifacts(parent.info.run_id)],
        "datasets": [each.dataset.name for each in inputs.dataset_inputs],
        "predicted": predicted,
        "champion": str(client.get_model_version_by_alias("churn", "champion").version),
        "refused": is_refused,
    }


def main() -> None:
    folder = Path.cwd()
    told: dict[str, Any] = {"version": mlflow.__version__}
    told["sqlite"] = check(f"sqlite:///{folder}/m.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    places = f"--backend-store-uri sqlite:///{folder}/s.db --artifacts-destination {folder}/files"
    words = f"-m mlflow server {places} --host 127.0.0.1 --port {port} --workers 1"
    with Path("server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *words.split()], stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url):
            assert server.poll() is None, Path("server.log").read_text()
            time.sleep(0.2)
        told["server"] = check(url)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    print(json.dumps(told))


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
