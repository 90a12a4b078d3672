"""Model tasks, and automatic logging confined to one task."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow.pyfunc.model import PythonModel
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from flowstone import flow
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from flowstone_mlflow import (
    AutologRefused,
    NotTracked,
    TrackingMissing,
    TrackingRefused,
    amlflow_load_model,
    autolog,
    mlflow_load_model,
    mlflow_log_model,
    mlflow_promote_model,
    mlflow_register_model,
    mlflow_set_alias,
    mlflow_task,
)

if TYPE_CHECKING:
    from .conftest import Place

ROWS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


def fit(strength: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=strength).fit(ROWS, LABELS)


def test_a_model_goes_from_its_run_to_the_registry_and_back(place: Place) -> None:
    @flow(flow_run_name="release")
    def release() -> Any:
        logged = mlflow_log_model(fit(), "classifier", registered_model_name="churn")
        first = mlflow_set_alias("churn", "champion", str(logged.version))
        again = mlflow_register_model(logged.uri, "churn", tags={"by": "flow"})
        mlflow_set_alias("churn", "challenger", again.version)
        promoted = mlflow_promote_model("churn")
        loaded: Any = mlflow_load_model("models:/churn@champion")
        return logged, first, again, promoted, loaded.predict(ROWS)

    with place.tracking.observe():
        logged, first, again, promoted, found = release()
    assert list(found) == LABELS
    assert (logged.version, again.version) == ("1", "2")
    assert first.previous is None
    assert (promoted.current.version, promoted.previous.version) == ("2", "1")
    run = place.runs()["release"]
    assert logged.run_id == run.info.run_id
    outputs: Any = run.outputs
    assert [each.model_id for each in outputs.model_outputs] == [logged.uri.split("/")[-1]]
    version = place.client.get_model_version_by_alias("churn", "champion")
    assert (version.version, version.tags) in [("2", {"by": "flow"}), (2, {"by": "flow"})]


def test_many_may_set_one_new_alias_at_once(place: Place) -> None:
    place.client.create_registered_model("churn")
    version = str(place.client.create_model_version("churn", "file:///nowhere").version)
    together = Barrier(8)

    def set_alias(alias: str) -> str:
        together.wait()
        return mlflow_set_alias.fn("churn", alias, version, tracking=place.tracking).current.version

    with ThreadPoolExecutor(8) as threads:
        for number in range(5):
            found = list(threads.map(set_alias, [f"alias-{number}"] * 8))
            assert set(map(str, found)) == {version}


class Doubler(PythonModel):
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads hints
        return [2 * row[0] for row in model_input]


def test_outside_of_a_flow_a_model_is_loaded_by_a_tracking(place: Place) -> None:
    @flow
    def log() -> str:
        options = {"pip_requirements": ["numpy"], "options": {"metadata": {"team": "growth"}}}
        return mlflow_log_model(Doubler(), "doubler", **options).uri

    with place.tracking.observe():
        uri = log()
    found: Any = asyncio.run(amlflow_load_model(uri, tracking=place.tracking))
    assert found.predict([[2], [3]]) == [4, 6]
    assert found.metadata.metadata == {"team": "growth"}
    with pytest.raises(NotTracked):
        mlflow_load_model(uri)


def test_what_is_missing_or_wrong_is_told(place: Place) -> None:
    with pytest.raises(TrackingMissing, match="churn"):
        mlflow_load_model("models:/churn@champion", tracking=place.tracking)
    with pytest.raises(TrackingMissing, match="version 3 of model 'churn'"):
        mlflow_set_alias("churn", "champion", 3, tracking=place.tracking)
    with pytest.raises(TrackingMissing, match="alias 'challenger' of model 'churn'"):
        mlflow_promote_model("churn", tracking=place.tracking)
    with pytest.raises(TrackingRefused, match=r"no flavor is known for builtins\.dict"):
        mlflow_log_model({}, "model", run_id="1" * 32, tracking=place.tracking)
    with pytest.raises(TrackingRefused, match="MLflow has no flavor 'abacus'"):
        mlflow_log_model({}, "m", flavor="abacus", run_id="1" * 32, tracking=place.tracking)


@mlflow_task
def train(strength: float) -> str:
    with autolog("sklearn", log_models=False) as run_id:
        fit(strength)
    return run_id


@flow(task_runner=ThreadPoolTaskRunner(max_workers=4), flow_run_name="search")
def search_on_threads() -> list[str]:
    return train.map([0.5, 1.0, 2.0, 4.0]).result()


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2), flow_run_name="search")
def search_on_processes() -> list[str]:
    return train.map([0.5, 1.0, 2.0, 4.0]).result()


@pytest.mark.parametrize("search", [search_on_threads, search_on_processes])
@pytest.mark.check
def test_autolog_logs_to_the_run_of_its_task(place: Place, search: Any) -> None:
    uri = mlflow.get_tracking_uri()
    with place.tracking.observe():
        ids = search()
    found = place.runs()
    assert len(found) == 5  # and none that MLflow created by itself
    parent = found.pop("search")
    assert "C" not in parent.data.params
    by_id = {run.info.run_id: run for run in found.values()}
    assert [by_id[run_id].data.params["C"] for run_id in ids] == ["0.5", "1.0", "2.0", "4.0"]
    assert all("training_accuracy_score" in run.data.metrics for run in found.values())
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert mlflow.get_tracking_uri() == uri == os.environ["MLFLOW_TRACKING_URI"]
    assert mlflow.active_run() is None
    fit()  # outside of the block, nothing is logged
    assert len(place.list_runs()) == 5


def test_autolog_is_refused_in_async_tasks_with_the_reason(place: Place) -> None:
    @mlflow_task
    async def train_in_loop() -> None:
        with autolog("sklearn"):
            fit()

    @flow
    async def search() -> None:
        with pytest.raises(AutologRefused, match="coroutines that share the thread"):
            await train_in_loop()

    with place.tracking.observe():
        asyncio.run(search())


def test_a_thread_with_a_run_of_its_own_keeps_it(place: Place) -> None:
    other = place.tracking.model_copy(update={"experiment": "own"})
    with other.observe():

        @flow
        def own() -> str:
            from flowstone_mlflow import current_run_id

            return current_run_id()

        own_id = own()
    from flowstone_mlflow.fluent import activate

    with activate(other, own_id):
        with place.tracking.observe():
            ids = search_on_threads()
        current = mlflow.active_run()
        assert current is not None
        assert current.info.run_id == own_id
    assert own_id not in ids


def test_types_that_mlflow_does_not_trust_are_told_with_what_to_do(place: Place) -> None:
    model = HistGradientBoostingClassifier().fit(ROWS * 10, LABELS * 10)

    @flow
    def log() -> str:
        with pytest.raises(TrackingRefused, match=r"untrusted types.*skops_trusted_types"):
            mlflow_log_model(model, "booster")
        options = {"serialization_format": "cloudpickle"}
        return mlflow_log_model(model, "booster", options=options).uri

    with place.tracking.observe():
        uri = log()
    loaded: Any = mlflow_load_model(uri, tracking=place.tracking)
    assert list(loaded.predict(ROWS)) == list(model.predict(ROWS))


def test_what_mlflow_prints_is_in_the_log_of_the_run(
    place: Place, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def release() -> None:
        mlflow_log_model(fit(), "classifier", registered_model_name="churn")

    with place.tracking.observe():
        release()
    assert "registered model" not in "".join(capfd.readouterr())
    assert place.client.get_model_version("churn", "1").name == "churn"
