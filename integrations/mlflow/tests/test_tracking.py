"""Flows and marked tasks as MLflow runs: in threads, processes and async, with every state."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pytest

from flowstone import flow, task
from flowstone.artifacts import create_markdown_artifact
from flowstone.errors import MissingContextError
from flowstone.states import Cancelled
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from flowstone_mlflow import (
    MlflowTracking,
    NotTracked,
    TrackingRefused,
    acurrent_run_id,
    current_run_id,
    log_artifact,
    log_dataset,
    log_dict,
    log_metrics,
    log_params,
    mlflow_task,
    set_tags,
)

if TYPE_CHECKING:
    from .conftest import Place

COUNT = 20


@mlflow_task
def train(depth: int) -> str:
    log_params({"depth": depth})
    for step in range(3):
        log_metrics({"loss": depth + 1 / (step + 1)}, step=step)
    set_tags({"kind": "tree"})
    return current_run_id()


@mlflow_task(name="train")
async def train_in_loop(depth: int) -> str:
    log_params({"depth": depth})
    for step in range(3):
        log_metrics({"loss": depth + 1 / (step + 1)}, step=step)
        await asyncio.sleep(0)
    set_tags({"kind": "tree"})
    return await acurrent_run_id()


@flow(task_runner=ThreadPoolTaskRunner(max_workers=8), flow_run_name="search")
def search_on_threads(count: int) -> list[str]:
    return train.map(range(count)).result()


@flow(task_runner=ProcessPoolTaskRunner(max_workers=2), flow_run_name="search")
def search_on_processes(count: int) -> list[str]:
    return train.map(range(count)).result()


@flow(flow_run_name="search")
async def search_in_loop(count: int) -> list[str]:
    return await asyncio.gather(*(train_in_loop(depth) for depth in range(count)))


def run_in_loop(count: int) -> list[str]:
    return asyncio.run(search_in_loop(count))


@pytest.mark.parametrize("search", [search_on_threads, search_on_processes, run_in_loop])
def test_mapped_tasks_are_children_of_one_run_and_log_only_to_their_own(
    place: Place, search: Any
) -> None:
    with place.tracking.observe():
        ids = search(COUNT)
    found = place.runs()
    parent = found.pop("search")
    assert parent.data.params == {"count": str(COUNT)}
    assert (parent.info.status, parent.data.metrics) == ("FINISHED", {})
    assert sorted(found) == sorted(f"train-{index}" for index in range(COUNT))
    children = {int(run.data.params["depth"]): run for run in found.values()}
    assert [children[depth].info.run_id for depth in range(COUNT)] == ids
    for depth, child in children.items():
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["kind"] == "tree"
        history = place.client.get_metric_history(child.info.run_id, "loss")
        assert [(each.step, each.value) for each in history] == [
            (step, depth + 1 / (step + 1)) for step in range(3)
        ]


def test_mlflow_and_flowstone_show_each_other(place: Place) -> None:
    @task
    def plain() -> str:
        return current_run_id()

    @flow
    def inner() -> str:
        return current_run_id()

    @flow
    def outer() -> tuple[str, str, str]:
        return current_run_id(), plain(), inner()

    with place.tracking.observe():
        own, of_plain, of_inner = outer()
    outer_run, inner_run = place.list_runs()
    assert own == of_plain == outer_run.info.run_id  # a task without the tag has no run
    assert of_inner == inner_run.info.run_id
    assert inner_run.data.tags["mlflow.parentRunId"] == own
    tags = outer_run.data.tags
    assert (tags["flowstone.flow"], tags["flowstone.run_name"]) == (
        "outer",
        outer_run.info.run_name,
    )
    assert tags["flowstone.run_id"] == tags["flowstone.root_id"]
    assert inner_run.data.tags["flowstone.root_id"] == tags["flowstone.run_id"]


def test_a_run_ends_as_its_task_does(place: Place) -> None:
    @mlflow_task(task_run_name="fails")
    def fail() -> None:
        raise ValueError("no rows")

    @mlflow_task(task_run_name="is-cancelled")
    def cancel() -> object:
        return Cancelled()

    @flow(flow_run_name="around")
    def around() -> None:
        fail(return_state=True)
        cancel(return_state=True)

    with place.tracking.observe():
        around()
    found = place.runs()
    assert {name: run.info.status for name, run in found.items()} == {
        "around": "FINISHED",
        "fails": "FAILED",
        "is-cancelled": "KILLED",
    }
    assert "no rows" in found["fails"].data.tags["flowstone.message"]
    assert found["fails"].info.end_time >= found["fails"].info.start_time


@pytest.mark.parametrize("on_retry", ["new", "resume"])
def test_a_retry_is_a_run_of_its_own_or_resumes_the_one_before(place: Place, on_retry: Any) -> None:
    attempts: list[str] = []

    @mlflow_task(retries=1, task_run_name="flaky")
    def flaky() -> None:
        attempts.append(current_run_id())
        log_metrics({"attempt": len(attempts)}, step=len(attempts))
        if len(attempts) == 1:
            raise ValueError("not yet")

    @flow(flow_run_name="around")
    def around() -> None:
        flaky()

    with place.tracking.model_copy(update={"on_retry": on_retry}).observe():
        around()
    found = [run for run in place.list_runs() if run.info.run_name == "flaky"]
    assert [run.info.run_id for run in found] == list(dict.fromkeys(attempts))
    told = [(run.info.status, run.data.metrics["attempt"]) for run in found]
    assert told == ([("FAILED", 1), ("FINISHED", 2)] if on_retry == "new" else [("FINISHED", 2)])
    history = place.client.get_metric_history(attempts[-1], "attempt")
    assert [each.value for each in history] == ([2] if on_retry == "new" else [1, 2])


def test_files_values_and_data_sets_are_logged(place: Place, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    folder = tmp_path / "plots"
    folder.mkdir()
    (folder / "roc.svg").write_text("<svg/>")
    report = tmp_path / "report.txt"

    @flow
    def describe() -> None:
        report.write_text("first")
        log_artifact(report)
        report.unlink()
        log_artifact(folder, "charts")
        log_dict({"depth": 3}, "config/model.json")
        log_dict({"depth": 3}, "model.yaml")
        frame = pandas.DataFrame({"age": [31.0, 44.0]})
        log_dataset(frame, name="people", context="training", source="s3://shop/people.parquet")

    with place.tracking.observe():
        describe()
    (run,) = place.list_runs()
    assert place.files(run) == [
        "charts/plots/roc.svg",
        "config/model.json",
        "model.yaml",
        "report.txt",
    ]
    read = place.client.download_artifacts(run.info.run_id, "config/model.json")
    assert json.loads(Path(read).read_text()) == {"depth": 3}
    inputs: Any = run.inputs
    (used,) = inputs.dataset_inputs
    assert (used.dataset.name, [tag.value for tag in used.tags]) == ("people", ["training"])
    assert "s3://shop/people.parquet" in used.dataset.source


def test_what_is_too_long_is_cut_and_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    @flow
    def verbose(text: str) -> None:
        log_params({"long": "p" * 7000})
        set_tags({"longer": "t" * 9000})

    with place.tracking.observe():
        verbose("x" * 7000)
    (run,) = place.list_runs()
    assert run.data.params == {"long": "p" * 6000, "text": "x" * 6000}
    assert run.data.tags["longer"] == "t" * 8000
    assert "the param 'long' has 7,000 characters; MLflow accepts 6,000" in caplog.text
    assert "the tag 'longer' has 9,000 characters; MLflow accepts 8,000" in caplog.text


def test_the_limits_are_those_of_mlflow() -> None:
    from mlflow.utils import validation

    from flowstone_mlflow import logs, sending

    assert logs.LONGEST_PARAM == validation.MAX_PARAM_VAL_LENGTH
    assert logs.LONGEST_TAG == validation.MAX_TAG_VAL_LENGTH
    assert logs.LONGEST_KEY == validation.MAX_ENTITY_KEY_LENGTH
    assert sending.METRICS == validation.MAX_METRICS_PER_BATCH
    assert sending.OTHERS == validation.MAX_PARAMS_TAGS_PER_BATCH


def test_what_mlflow_refuses_is_told_and_the_rest_is_sent(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    @flow
    def contradict() -> None:
        log_params({"depth": 1, "width": 2})
        log_params({"depth": 5, "height": 3})  # a param can't be changed

    with place.tracking.observe():
        contradict()
    (run,) = place.list_runs()
    assert run.data.params == {"depth": "1", "width": "2", "height": "3"}
    assert run.info.status == "FINISHED"
    assert "MLflow rejected what the flow run" in caplog.text


def test_bad_input_is_refused_where_it_is_logged(place: Place, tmp_path: Path) -> None:
    @flow
    def careless() -> None:
        with pytest.raises(TrackingRefused, match="'loss' is a str, not a number"):
            log_metrics({"loss": "low"})  # type: ignore[dict-item]
        with pytest.raises(TrackingRefused, match="1 to 250 characters"):
            log_params({"k" * 251: 1})
        with pytest.raises(TrackingRefused, match="not the name of a file"):
            log_dict({}, "../secrets.json")
        with pytest.raises(TrackingRefused, match="log_dict"):
            log_dict({"a": object()}, "a.json")
        with pytest.raises(TrackingRefused, match="is not a dataset"):
            log_dataset(3)
        with pytest.raises(FileNotFoundError, match="there is no"):
            log_artifact(tmp_path / "absent")

    with place.tracking.observe():
        careless()


def test_outside_of_tracking_logging_warns_once_and_ids_are_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @flow
    def untracked() -> None:
        log_params({"a": 1})
        log_metrics({"b": 1})
        with pytest.raises(NotTracked, match="FLOWSTONE_OBSERVERS"):
            current_run_id()

    untracked()
    assert caplog.text.count("this run is not tracked in MLflow") == 1
    with pytest.raises(MissingContextError):
        log_params({"a": 1})


def test_mlflows_own_settings_and_runs_stay_as_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = f"sqlite:///{tmp_path}/own.db"
    (tmp_path / "own.db").write_bytes((tmp_path / "m.db").read_bytes())
    mlflow.set_tracking_uri(own)
    try:
        with mlflow.start_run() as active:
            monkeypatch.setenv("MLFLOW_RUN_ID", "0123456789abcdef0123456789abcdef")
            with place.tracking.observe():
                ids = search_on_threads(2)
            assert os.environ["MLFLOW_RUN_ID"] == "0123456789abcdef0123456789abcdef"
            current = mlflow.active_run()
            assert current is not None
            assert current.info.run_id == active.info.run_id
            assert mlflow.get_tracking_uri() == own
            monkeypatch.delenv("MLFLOW_RUN_ID")
        assert active.info.run_id not in ids
        assert len(place.list_runs()) == 3
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def test_two_programs_parts_track_to_two_experiments(place: Place) -> None:
    other = place.tracking.model_copy(update={"experiment": "prices"})
    with place.tracking.observe():
        with other.observe():
            search_on_threads(1)
        search_on_threads(2)
    assert sorted(place.runs()) == ["search", "train-0", "train-1"]
    assert len(type(place)(other).list_runs()) == 2


def test_a_block_inside_a_flow_tracks_what_is_called_in_it(place: Place) -> None:
    @flow
    def inner() -> list[str]:
        return train.map(range(2)).result()

    @flow
    def outer() -> list[str]:
        train(7)  # before the block: not tracked, so it can't have an id
        with place.tracking.observe():
            return inner()

    with pytest.raises(NotTracked):
        outer()

    @flow
    def fine() -> tuple[list[str], list[str]]:
        with place.tracking.observe():
            first = inner()
        with place.tracking.observe():
            return first, inner()

    first, second = fine()
    found = {run.info.run_id: run for run in place.list_runs()}
    assert len(found) == 6
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert {*first, *second} < found.keys()


def test_what_other_threads_call_is_not_tracked_by_mistake(place: Place) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with place.tracking.observe(), ThreadPoolExecutor(1) as pool:

        @flow
        def stranger() -> None: ...

        pool.submit(stranger).result()
    assert place.list_runs() == []


def test_a_cached_task_has_no_run(place: Place) -> None:
    @mlflow_task(cache_key_fn=lambda *_: "same", persist_result=True, task_run_name="once")
    def once() -> int:
        return 1

    @flow
    def twice() -> None:
        once()
        once()

    with place.tracking.observe():
        twice()
    assert [run.info.run_name for run in place.list_runs()].count("once") == 1


def test_system_metrics_belong_to_the_flow(place: Place) -> None:
    pytest.importorskip("psutil")
    with place.tracking.model_copy(update={"system_metrics": True}).observe():

        @flow
        def busy() -> None:
            run_id = current_run_id()
            while not any(key.startswith("system/") for key in _read_metrics(place, run_id)):
                pass

        busy()
    (run,) = place.list_runs()
    assert "system/cpu_utilization_percentage" in run.data.metrics


def _read_metrics(place: Place, run_id: str) -> dict[str, float]:
    found: dict[str, float] = place.client.get_run(run_id).data.metrics
    return found


def test_a_place_that_is_not_one_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with MlflowTracking(tracking_uri="gopher://nowhere", experiment="x").observe():
        search_without_ids()
    assert "gopher" in caplog.text


@flow
def search_without_ids() -> None:
    log_metrics({"loss": 1.0})
    create_markdown_artifact("done")
