"""A tracking for each test: an MLflow database, copied from one that is migrated."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from flowstone.testing import flowstone_test_harness
from flowstone_mlflow import MlflowTracking
from flowstone_mlflow.credentials import INSECURE, VARIABLES

# Warnings of MLflow about itself, on the first import only.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    importlib.import_module("mlflow.pyfunc")

EXPERIMENT = "churn"
#: Warnings of MLflow and its dependencies about each other.
NOT_OURS = (
    "ignore:The ``noload`` loader strategy",
    "ignore:unclosed database in <sqlite3.Connection:ResourceWarning",
    "ignore::DeprecationWarning:mlflow",
    "ignore::FutureWarning:mlflow",
    "ignore::FutureWarning:sklearn",
    "ignore::UserWarning:mlflow",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for warning in NOT_OURS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture(autouse=True)
def nothing_of_yours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the developer's own MLflow from the tests."""
    for name in (*VARIABLES.values(), INSECURE, "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/not-to-be-written.db")


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, which take 2 s to create."""
    path = tmp_path_factory.mktemp("mlflow-tables") / "m.db"
    MlflowTracking(tracking_uri=f"sqlite:///{path}").client()
    return path


@dataclass(frozen=True)
class Place:
    """The tracking of a test, and its MLflow runs."""

    tracking: MlflowTracking

    @property
    def client(self) -> MlflowClient:
        return self.tracking.client()

    def runs(self) -> dict[str, Run]:
        """Return the MLflow runs by their names; no two have the same."""
        found = self.list_runs()
        named = {run.info.run_name: run for run in found}
        assert len(named) == len(found), [run.info.run_name for run in found]
        return named

    def list_runs(self) -> list[Run]:
        """Return the MLflow runs, oldest first."""
        client = self.client
        experiment = client.get_experiment_by_name(self.tracking.find_experiment())
        if experiment is None:
            return []
        order = ["attributes.start_time ASC"]
        return list(client.search_runs([experiment.experiment_id], order_by=order))

    def files(self, run: Run, folder: str | None = None) -> list[str]:
        """Return the paths of a run's artifacts."""
        found = []
        for each in self.client.list_artifacts(run.info.run_id, folder):
            found += self.files(run, each.path) if each.is_dir else [each.path]
        return sorted(found)


@pytest.fixture
def place(migrated: Path, tmp_path: Path) -> Place:
    shutil.copyfile(migrated, tmp_path / "m.db")
    return Place(MlflowTracking(tracking_uri=f"sqlite:///{tmp_path}/m.db", experiment=EXPERIMENT))
