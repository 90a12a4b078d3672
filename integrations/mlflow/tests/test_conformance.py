from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from secrets import token_hex

import pytest
from tests.services.recorder import Recorder

from flowstone import flow
from flowstone.blocks import Block, Credentials
from flowstone_mlflow import LoggedModel, MlflowTracking, mlflow_log_model, mlflow_set_alias
from flowstone_mlflow.trackers import MlflowObserver
from flowstone_testing.conformance.blocks import BlockSuite
from flowstone_testing.conformance.credentials import CredentialsSuite
from flowstone_testing.conformance.observer import ObserverSuite
from flowstone_testing.conformance.plugins import PluginSuite
from flowstone_testing.conformance.tasks import Example, TaskSuite
from flowstone_testing.ports import reserve_closed_port

from .conftest import Place
from .test_logins import guard
from .test_models import fit

TOKEN = f"canary-{token_hex(8)}"


class TestMlflowPlugin(PluginSuite):
    plugin = "mlflow"
    package = "flowstone_mlflow"
    sdks = ("mlflow", "pandas", "sklearn", "sqlalchemy")


class TestMlflowTrackingBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            MlflowTracking(tracking_uri="https://mlflow.acme.com", experiment="churn", token=TOKEN),
            MlflowTracking(
                tracking_uri="https://mlflow.acme.com",
                username="ada",
                password=TOKEN,
                verify=False,
                on_retry="resume",
                log_parameters=False,
                system_metrics=True,
            ),
        ]


class TestMlflowTracking(CredentialsSuite):
    @pytest.fixture
    def door(self, mlflow_server: str) -> Iterator[Recorder]:
        with guard(mlflow_server, f"Bearer {TOKEN}") as recorder:
            yield recorder

    @pytest.fixture
    def good(self, door: Recorder) -> Credentials:
        return MlflowTracking(tracking_uri=door.url, token=TOKEN)

    @pytest.fixture
    def refused(self, door: Recorder) -> Credentials:
        return MlflowTracking(tracking_uri=door.url, token=f"canary-{token_hex(8)}")

    @pytest.fixture
    def unreachable(self) -> Credentials:
        return MlflowTracking(tracking_uri=f"http://127.0.0.1:{reserve_closed_port()}", token=TOKEN)


class TestMlflowObserver(ObserverSuite):
    @pytest.fixture(autouse=True)
    def quiet(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", place.tracking.find_uri())
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it writes to standard error
        assert place.list_runs() == []  # to open a database takes MLflow a second

    @pytest.fixture
    def make(self, place: Place) -> Callable[[], MlflowObserver]:
        return lambda: MlflowObserver(None)  # type: ignore[arg-type]  # it needs none of the settings

    @pytest.fixture
    def kept(self, place: Place) -> Callable[[], str]:
        def read() -> str:
            client, found = place.client, ""
            for run in client.search_runs(
                [each.experiment_id for each in client.search_experiments()]
            ):
                found += str(run.to_dictionary())
            return found

        return read


@pytest.mark.check
class TestMlflowTasks(TaskSuite):
    plugin = "mlflow"

    @pytest.fixture
    def examples(self, place: Place) -> Mapping[str, Example]:
        tracking = place.tracking

        @flow
        def log() -> LoggedModel:
            return mlflow_log_model(fit(), "classifier", registered_model_name="churn")

        def logged() -> LoggedModel:
            with tracking.observe():
                found = log()
            mlflow_set_alias.fn("churn", "challenger", str(found.version), tracking=tracking)
            return found

        return {
            "mlflow_load_model": lambda: {"model_uri": logged().uri, "tracking": tracking},
            "mlflow_log_model": lambda: {
                "model": fit(),
                "name": "classifier",
                "run_id": logged().run_id,
                "tracking": tracking,
            },
            "mlflow_promote_model": lambda: {
                "name": str(logged().version and "churn"),
                "tracking": tracking,
            },
            "mlflow_register_model": lambda: {
                "model_uri": logged().uri,
                "name": "churn",
                "tracking": tracking,
            },
            "mlflow_set_alias": lambda: {
                "name": "churn",
                "alias": "champion",
                "version": logged().version,
                "tracking": tracking,
            },
        }
