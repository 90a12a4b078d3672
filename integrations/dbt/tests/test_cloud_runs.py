"""Runs of dbt Cloud jobs: results, logs, and cancelling."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.services.dbt_cloud import DbtCloud, Plan

from flowstone import flow, task
from flowstone.errors import (
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    JobTimeout,
    RunTimeout,
    Unreachable,
)
from flowstone.flow_runs import cleanup_flow_run
from flowstone.runtime import flow_run
from flowstone.testing import flowstone_test_harness
from flowstone_dbt import (
    DbtCloudCredentials,
    DbtCloudJob,
    DbtCloudJobRunStatus,
    TriggerJobRunOptions,
    get_run_id,
    trigger_dbt_cloud_job_run,
    wait_for_dbt_cloud_job_run,
)
from flowstone_dbt.cloud import provider

OK = [("model.shop.orders", "success", "OK")]
FAILED = {
    "dbt build": [
        ("model.shop.orders", "error", "Database Error\n  no such   table raw.orders"),
        ("test.shop.not_null_orders_id.ab12", "fail", "Got 3 results, configured to fail if != 0"),
        ("model.shop.sums", "skipped", ""),
        ("model.shop.fine", "success", "OK"),
    ]
}


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


def make_job(login: DbtCloudCredentials, number: int, **fields: Any) -> DbtCloudJob:
    return DbtCloudJob(
        dbt_cloud_credentials=login, job_id=number, **{"interval_seconds": 0.02, **fields}
    )


# ---------------------------------------------------------------- how it ends


def test_a_failure_names_the_step_the_nodes_and_the_page(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = make_job(login, cloud.make_job(Plan(FAILED)))
    run = job.trigger()
    with pytest.raises(JobFailed) as caught:
        run.wait_for_completion()
    assert str(caught.value) == (
        f"dbt Cloud job 500 at {cloud.url}: run 9000 failed in step 4, Invoke dbt with `dbt build`:"
        " model.shop.orders (error) Database Error no such table raw.orders;"
        " test.shop.not_null_orders_id.ab12 (fail) Got 3 results, configured to fail if != 0."
        f" See {cloud.url}/deploy/12345/projects/1/runs/9000/"
    )
    assert run.get_status_code() == DbtCloudJobRunStatus.FAILED


def test_a_failure_without_results_ends_with_the_log_of_its_step(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    logs = "\n".join(f"\x1b[0m06:00:{second:02} line {second}" for second in range(20)) + "\n\n"
    plans = [Plan(broken=("dbt build",), logs=logs), Plan(broken=("Clone git repository",))]
    job = make_job(login, cloud.make_job(*plans))
    with pytest.raises(JobFailed, match=r"last log lines: 06:00:10 line 10\n(.*\n)+.*line 19\. Se"):
        job.run()
    with pytest.raises(JobFailed, match=r"in step 1, Clone git repository\. See http"):
        job.run()


def test_many_failing_nodes_are_counted(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    results = [(f"model.shop.m{number}", "error", "x" * 1000) for number in range(12)]
    job = make_job(login, cloud.make_job(Plan({"dbt build": results})))
    with pytest.raises(JobFailed, match=r"model.shop.m9 \(error\) x{300}; and 2 more. See"):
        job.run()


def test_a_failure_is_told_even_where_its_results_can_not_be_read(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    few = login.model_copy(update={"max_retries": 0})
    job = make_job(few, cloud.make_job(Plan(FAILED, logs="and that was it")))
    cloud.fail_next("run_results", 500, times=99)
    with pytest.raises(JobFailed, match=r"in step 4.*last log lines: and that was it"):
        job.run()


def test_who_cancels_it_in_dbt_cloud_ends_it(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    run = make_job(login, cloud.make_job(Plan(is_endless=True))).trigger()
    cloud.runs[run.run_id].was_cancelled = True
    with pytest.raises(JobCancelled, match=r"See http.*/runs/9000/"):
        run.wait()


def test_a_timeout_looks_once_more_and_lets_it_go_on(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    slow = make_job(login, cloud.make_job(Plan(is_endless=True)), timeout_seconds=0.1)
    run = slow.trigger()
    with pytest.raises(
        JobTimeout, match=r"within 0.1 s. It is still running: .* http.*/runs/9000/"
    ):
        run.wait()
    assert cloud.is_alive(run.run_id)
    run.cancel()
    # It ends during the last sleep; the final poll notices it.
    ending = make_job(
        login, cloud.make_job(Plan()), timeout_seconds=0.001, interval_seconds=0.001
    ).trigger()
    cloud.runs[ending.run_id].stage = len(cloud.runs[ending.run_id].steps) + 1
    ending.wait()


def test_a_run_is_unknown_for_a_while(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    cloud.hidden = 5
    job = make_job(login, cloud.make_job(Plan({"dbt build": OK})))
    assert job.run()["status"] == DbtCloudJobRunStatus.SUCCESS
    cloud.hidden = 3
    run = job.trigger()
    run.cancel()
    assert not cloud.is_alive(run.run_id)


def test_a_run_is_not_unknown_for_ever(
    cloud: DbtCloud, login: DbtCloudCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "FRESH_SECONDS", 0.05)
    cloud.hidden = 10_000
    job = make_job(login, cloud.make_job())
    run = job.trigger()
    with pytest.raises(JobLost, match="404"):
        run.wait()
    with pytest.raises(JobLost, match="404"):
        wait_for_dbt_cloud_job_run(run.run_id, login, poll_frequency_seconds=0.01)


def test_a_hiccup_of_the_service_does_not_end_a_wait(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = make_job(login, cloud.make_job(Plan({"dbt build": OK})))
    run = job.trigger()
    for status in (502, 429, 0):
        cloud.fail_next(r"GET .*/runs/", status)
    assert run.fetch_result()["status"] == DbtCloudJobRunStatus.SUCCESS


def test_an_outage_is_borne_for_a_while(
    cloud: DbtCloud, login: DbtCloudCredentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = login.model_copy(update={"max_retries": 1})
    run = make_job(few, cloud.make_job(Plan({"dbt build": OK}), Plan(is_endless=True))).trigger()
    cloud.fail_next(r"GET .*/runs/9000/", 503, times=6)
    run.wait()
    monkeypatch.setattr(provider.DbtCloudRuns, "outage_seconds", 0.05)
    run = make_job(few, run.get_run()["job_definition_id"]).trigger()
    cloud.fail_next(r"GET .*/runs/9001/", 503, times=9999)
    with pytest.raises(Unreachable, match="503"):
        run.wait()
    assert cloud.is_alive(run.run_id)


# ---------------------------------------------------------------- logs


def test_its_progress_is_logged(
    cloud: DbtCloud, login: DbtCloudCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(login, cloud.make_job(Plan(FAILED), steps=["dbt build", "dbt docs generate"]))
    with caplog.at_level(logging.INFO), pytest.raises(JobFailed):
        job.run()
    lines = [each.getMessage() for each in caplog.records if each.name == "flowstone.jobs"]
    assert lines[1] == f"run 9000 is queued: {cloud.url}/deploy/12345/projects/1/runs/9000/"
    assert lines[2:5] == [
        "run 9000 is starting",
        "run 9000 is running",
        "step 1: Clone git repository",
    ]
    assert lines[-5:] == [
        "step 4: Invoke dbt with `dbt build`",
        "step 4: error",
        "step 5: Invoke dbt with `dbt docs generate`",
        "step 5: skipped",
        "run 9000: failed",
    ]


def test_the_cause_names_the_flow_run(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job())

    @flow
    def start() -> str | None:
        job.trigger()
        job.trigger(TriggerJobRunOptions(cause="the books are closed"))
        return flow_run.name

    name = start()
    assert [run.trigger["cause"] for run in cloud.runs.values()] == [
        f"Triggered by Flowstone, flow run {name}",
        "the books are closed",
    ]


def test_a_trigger_has_options_of_its_own(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    usual = TriggerJobRunOptions(target_name_override="prod", threads_override=8)
    job = make_job(login, cloud.make_job(), trigger_job_run_options=usual)
    job.trigger()
    job.trigger(TriggerJobRunOptions(git_branch="main"))
    first, second = (run.trigger for run in cloud.runs.values())
    assert (first["target_name_override"], first["threads_override"]) == ("prod", 8)
    assert (second.get("target_name_override"), second["git_branch"]) == (None, "main")
    assert job.trigger_job_run_options == usual


def test_artifacts_of_a_run(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    results = {"dbt seed": [("seed.shop.raw", "success", "")], "dbt run": OK}
    job = make_job(login, cloud.make_job(Plan(results), steps=["dbt seed", "dbt run"]))
    run = job.trigger()
    assert run.fetch_result(step=3)["artifact_paths"] == []
    assert run.fetch_result(step=5)["artifact_paths"] == ["manifest.json", "run_results.json"]
    found = run.get_run_artifacts("run_results.json", step=4)
    assert isinstance(found, dict)
    assert found["results"][0]["unique_id"] == "seed.shop.raw"
    assert job.get_job()["execute_steps"] == ["dbt seed", "dbt run"]
    assert run.dbt_cloud_credentials is login or run.dbt_cloud_credentials == login


def test_twins_of_jobs_and_runs(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job(Plan(FAILED), Plan({"dbt build": OK})))

    async def use() -> None:
        assert (await job.aget_job(order_by="id"))["id"] == job.job_id
        run = await job.atrigger(TriggerJobRunOptions(cause="a test"))
        with pytest.raises(JobFailed):
            await run.await_for_completion()
        assert (await run.aget_run())["id"] == run.run_id
        assert await run.aget_status_code() == DbtCloudJobRunStatus.FAILED
        assert await run.aget_run_artifacts("manifest.json") == {}
        again = await run.aretry_failed_steps()
        assert (await again.afetch_result(step=4))["artifact_paths"]

    asyncio.run(use())


# ---------------------------------------------------------------- cancelling


def test_a_run_that_ends_while_it_is_cancelled_is_no_error(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    run = make_job(login, cloud.make_job(Plan({"dbt build": OK}))).trigger()
    ended = cloud.runs[run.run_id]
    ended.stage = len(ended.steps) + 1
    run.cancel()
    assert run.get_status_code() == DbtCloudJobRunStatus.SUCCESS
    refused = make_job(login, cloud.make_job(Plan(is_endless=True))).trigger()
    cloud.fail_next("POST .*/cancel/", 400)
    with pytest.raises(JobError, match="400"):
        refused.cancel()


def test_a_flow_that_is_stopped_cancels_it(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job(Plan(is_endless=True)))

    @flow(timeout_seconds=0.5)
    def limited() -> None:
        job.run()

    @flow(timeout_seconds=0.5)
    async def alimited() -> None:
        await job.arun()

    with pytest.raises(RunTimeout):
        limited()
    with pytest.raises(RunTimeout):
        asyncio.run(alimited())
    assert [cloud.is_alive(number) for number in cloud.runs] == [False, False]


def test_a_retried_task_first_cancels_what_it_left(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = make_job(login, cloud.make_job(Plan(is_endless=True), Plan({"dbt build": OK})))

    @task(retries=1)
    def build() -> int:
        run = job.trigger()
        run.wait(timeout_seconds=0.1 if run.run_id == 9000 else None)
        return run.run_id

    @flow
    def follow() -> int:
        return build()

    assert follow() == 9001
    assert not cloud.is_alive(9000)


@pytest.mark.parametrize("saved", ["job", "login", "nothing"])
def test_what_a_flow_left_is_cleaned_up(
    saved: str, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    number = cloud.make_job(Plan(is_endless=True))
    if saved == "login":
        login.save("analytics")
    job = make_job(login, number)
    if saved == "job":
        job.save("nightly")

    @flow
    def start() -> str:
        job.trigger()
        trigger_dbt_cloud_job_run(login, number)
        return str(flow_run.id)

    kept = {"job": [True, False], "login": [True, True], "nothing": [False, False]}[saved]
    found = cleanup_flow_run(start())
    assert [each.error is None for each in found] == kept
    assert [not cloud.is_alive(run) for run in cloud.runs] == kept


def test_who_waits_elsewhere_records_the_end(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    login.save("analytics")
    number = cloud.make_job(Plan({"dbt build": OK}), Plan(FAILED))

    @flow
    def start() -> tuple[str, list[object]]:
        ends: list[object] = []
        for _ in range(2):
            run_id = get_run_id(trigger_dbt_cloud_job_run(login, number))
            status, run = wait_for_dbt_cloud_job_run(run_id, login, poll_frequency_seconds=0.02)
            assert run["id"] == run_id
            ends.append(status)
        return str(flow_run.id), ends

    run_id, ends = start()
    assert ends == [DbtCloudJobRunStatus.SUCCESS, DbtCloudJobRunStatus.FAILED]
    assert cleanup_flow_run(run_id) == []
