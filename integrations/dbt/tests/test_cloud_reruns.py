"""What a retry of a failed run runs, and the flows that retry."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.services.dbt_cloud import DbtCloud, Plan

from flowstone.errors import ConfigurationError, JobError, JobFailed, JobTimeout
from flowstone.testing import flowstone_test_harness
from flowstone_dbt import (
    DbtCloudCredentials,
    DbtCloudJob,
    DbtCloudJobRunStatus,
    TriggerJobRunOptions,
    aretry_dbt_cloud_job_run_subset_and_wait_for_completion,
    arun_dbt_cloud_job,
    atrigger_dbt_cloud_job_run_and_wait_for_completion,
    await_for_dbt_cloud_job_run,
    retry_dbt_cloud_job_run_subset_and_wait_for_completion,
    run_dbt_cloud_job,
    trigger_dbt_cloud_job_run_and_wait_for_completion,
    wait_for_dbt_cloud_job_run,
)
from flowstone_dbt.cloud.reruns import find_subcommand, name_node, select_nodes

BUILD, TEST = "dbt build --select tag:daily --full-refresh", "dbt test --vars '{day: 1}'"
BUILT = {"dbt build": [("model.shop.orders", "success", ""), ("model.shop.sums", "success", "")]}
HALF = {
    "dbt build": [
        ("seed.shop.raw", "success", ""),
        ("model.shop.orders.v2", "error", "no such table"),
        ("test.shop.not_null_orders_id.ab12", "skipped", ""),
        ("unit_test.shop.orders.adds_up", "fail", "1 row"),
        ("model.shop.sums", "skipped", ""),
        ("model.shop.fine", "warn", ""),
        ("model.shop.same", "reused", ""),
    ]
}
REST = (
    "dbt build --full-refresh --indirect-selection empty"
    " --select orders.v2 not_null_orders_id adds_up sums"
)


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


def make_job(login: DbtCloudCredentials, number: int, **fields: Any) -> DbtCloudJob:
    return DbtCloudJob(
        dbt_cloud_credentials=login, job_id=number, **{"interval_seconds": 0.02, **fields}
    )


# ---------------------------------------------------------------- commands


def test_a_command_runs_only_the_nodes_that_are_left() -> None:
    nodes = ["model.shop.a", "model.shop.b.v1", "snapshot.shop.c"]
    exactly = "--indirect-selection empty --select a b.v1 c"
    for command, rest in {
        "dbt run": "dbt run --select a b.v1 c",
        "dbt seed --full-refresh -s x y": "dbt seed --full-refresh --select a b.v1 c",
        "dbt build --select x+ tag:y --exclude z -t prod": f"dbt build -t prod {exactly}",
        "dbt build -s=x --threads 8": f"dbt build --threads 8 {exactly}",
        "dbt --fail-fast build --selector nightly": f"dbt --fail-fast build {exactly}",
        "dbt test --indirect-selection=cautious": f"dbt test {exactly}",
        "dbt test --selector a --vars '{k: a b}'": f"dbt test --vars '{{k: a b}}' {exactly}",
        "dbt build --models x --defer --state old": f"dbt build --defer --state old {exactly}",
        'dbt run --vars "{k: v': "dbt run --vars '\"{k:' v --select a b.v1 c",
    }.items():
        assert select_nodes(command, nodes) == rest


WORDS = st.sampled_from(
    ["--select", "-s=x", "--exclude", "--selector", "--full-refresh", "--vars", "{a: b}", "x", "+y"]
)


@given(words=st.lists(WORDS), nodes=st.lists(st.sampled_from(["model.shop.a", "test.shop.b.1"])))
def test_a_selection_is_the_last_word(words: list[str], nodes: list[str]) -> None:
    command = shlex.join(["dbt", "build", *words])
    rest = select_nodes(command, nodes)
    assert select_nodes(rest, nodes) == rest
    names = [*dict.fromkeys(map(name_node, nodes))]
    expected = ["--indirect-selection", "empty", "--select", *names]
    assert shlex.split(rest)[-len(expected) :] == expected
    kept = [word for word in words if word in {"--full-refresh", "--vars"}]
    assert [word for word in shlex.split(rest) if word in kept] == kept


def test_nodes_are_selected_by_their_names() -> None:
    for node, name in {
        "model.shop.orders": "orders",
        "model.shop.orders.v2": "orders.v2",
        "seed.shop.raw": "raw",
        "test.shop.no_orphans": "no_orphans",
        "test.shop.not_null_orders_id.cf6c17daed": "not_null_orders_id",
        "unit_test.shop.orders.adds_up": "adds_up",
    }.items():
        assert name_node(node) == name


def test_commands_are_told_apart() -> None:
    for command, subcommand in {
        "dbt run": "run",
        "dbt run-operation build_all": "run-operation",
        "dbt source freshness": "source",
        "dbt --log-format json test": "test",
        "dbt": "",
        "": "",
    }.items():
        assert find_subcommand(command) == subcommand


# ---------------------------------------------------------------- what is retried


def test_failed_nodes_and_skipped_commands_run_again(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    steps = ["dbt seed", BUILD, TEST, "dbt run-operation grant"]
    job = make_job(login, cloud.make_job(Plan(HALF), Plan(BUILT), steps=steps))
    run = job.trigger()
    with pytest.raises(JobFailed):
        run.wait()
    again = run.retry_failed_steps()
    assert again.run_id != run.run_id
    trigger = cloud.runs[again.run_id].trigger
    assert trigger["steps_override"] == [REST, TEST, "dbt run-operation grant"]
    assert trigger["cause"] == f"Retry of run {run.run_id}, triggered by Flowstone"
    again.wait()


def test_a_retry_keeps_what_the_run_was_triggered_with(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    number = cloud.make_job(Plan(HALF), Plan(HALF), Plan(BUILT), steps=["dbt compile"])
    options = TriggerJobRunOptions(
        steps_override=[BUILD], git_sha="abc", target_name_override="ci", threads_override=4
    )
    run = make_job(login, number).trigger(options)
    with pytest.raises(JobFailed):
        run.wait()
    retried = retry_dbt_cloud_job_run_subset_and_wait_for_completion
    with pytest.raises(JobFailed):
        more = TriggerJobRunOptions(threads_override=1, cause="again")
        retried(login, run.run_id, more, 60, 0.02)
    second = max(cloud.runs)
    assert cloud.runs[second].trigger == {
        **options.model_dump(exclude_none=True),
        "cause": "again",
        "threads_override": 1,
        "steps_override": [REST],
    }
    done = retried(login, second, None, 60, 0.02)
    assert done["status"] == DbtCloudJobRunStatus.SUCCESS
    assert cloud.runs[done["id"]].trigger["git_sha"] == "abc"


@pytest.mark.parametrize(
    ("plan", "commands"),
    [
        (Plan(broken=("Create profile from connection Warehouse",)), None),
        (Plan(broken=("dbt deps",)), [BUILD, TEST]),
        (Plan(broken=(BUILD,)), [BUILD, TEST]),
        (Plan({BUILD: []}, broken=(BUILD,)), [BUILD, TEST]),
        (Plan({BUILD: [("operation.shop.on-run-end-0", "error", "")]}), [BUILD, TEST]),
        (Plan({TEST: [("test.shop.t", "fail", "")]}), [
            "dbt test --vars '{day: 1}' --indirect-selection empty --select t"
        ]),
    ],
)  # fmt: skip
def test_what_can_not_be_retried_by_its_nodes_runs_as_a_whole(
    plan: Plan, commands: list[str] | None, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = make_job(login, cloud.make_job(plan, Plan(), steps=[BUILD, TEST]))
    run = job.trigger()
    with pytest.raises(JobFailed):
        run.wait()
    assert cloud.runs[run.retry_failed_steps().run_id].trigger.get("steps_override") == commands


def test_what_dbt_cloud_adds_to_each_run_is_not_added_twice(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    steps = ["dbt source freshness", "dbt run", "dbt docs generate"]
    for generates, rest in ((True, ["dbt run"]), (False, ["dbt run", "dbt docs generate"])):
        number = cloud.make_job(
            Plan(broken=("dbt run",)), Plan(), steps=steps, generate_docs=generates
        )
        run = make_job(login, number).trigger()
        with pytest.raises(JobFailed):
            run.wait()
        assert cloud.runs[run.retry_failed_steps().run_id].trigger["steps_override"] == rest


def test_where_only_an_added_command_failed_it_runs_again(
    cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    plans = [Plan(broken=("dbt docs",)), Plan(broken=("dbt docs",)), Plan()]
    job = make_job(login, cloud.make_job(*plans, steps=["dbt run", "dbt docs generate"]))
    run = job.trigger(TriggerJobRunOptions(generate_docs_override=True))
    for _ in range(2):
        with pytest.raises(JobFailed):
            run.wait()
        run = run.retry_failed_steps()
        trigger = cloud.runs[run.run_id].trigger
        assert trigger["steps_override"] == ["dbt docs generate"]
        assert trigger["generate_docs_override"] is True
    run.wait()


def test_there_is_nothing_to_retry(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job(Plan(is_endless=True), Plan(BUILT), steps=[BUILD]))
    running = job.trigger()
    with pytest.raises(JobError, match="has not ended"):
        running.retry_failed_steps()
    running.cancel()
    assert running.retry_failed_steps().fetch_result()["status"] == DbtCloudJobRunStatus.SUCCESS
    done = job.trigger()
    done.wait()
    with pytest.raises(JobError, match="succeeded: there is nothing to retry"):
        done.retry_failed_steps()
    with pytest.raises(ConfigurationError, match="`steps_override` is set"):
        running.retry_failed_steps(TriggerJobRunOptions(steps_override=["dbt run"]))


# ---------------------------------------------------------------- the flows


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_is_run_and_retried(
    is_async: bool, cloud: DbtCloud, login: DbtCloudCredentials, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(login, cloud.make_job(Plan(HALF), Plan(HALF), Plan(BUILT), steps=[BUILD]))
    with caplog.at_level(logging.WARNING):
        found = asyncio.run(arun_dbt_cloud_job(job)) if is_async else run_dbt_cloud_job(job)
    assert (found["id"], found["status"]) == (9002, DbtCloudJobRunStatus.SUCCESS)
    assert found["artifact_paths"] == ["manifest.json", "run_results.json"]
    assert "Retrying; 1 retries left" in caplog.text


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("retries", [0, 2])
def test_retries_have_an_end(
    is_async: bool, retries: int, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    job = make_job(login, cloud.make_job(Plan(HALF), steps=[BUILD]))
    with pytest.raises(JobFailed, match=f"run {9000 + retries} failed"):
        if is_async:
            asyncio.run(arun_dbt_cloud_job(job, retries))
        else:
            run_dbt_cloud_job(job, targeted_retries=retries)
    assert len(cloud.runs) == 1 + retries


def test_assets_are_refused(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job())
    with pytest.raises(ConfigurationError, match="create_assets: Flowstone has no assets"):
        run_dbt_cloud_job(job, create_assets=True)
    assert not cloud.runs


@pytest.mark.parametrize("is_async", [False, True])
def test_a_job_is_triggered_and_waited_for(
    is_async: bool, cloud: DbtCloud, login: DbtCloudCredentials
) -> None:
    number = cloud.make_job(Plan(HALF), Plan(BUILT), steps=[BUILD])
    options = TriggerJobRunOptions(schema_override="ci")
    if is_async:
        afound = atrigger_dbt_cloud_job_run_and_wait_for_completion(
            login, number, options, 60, 0.02, retry_filtered_models_attempts=1
        )
        found = asyncio.run(afound)
    else:
        found = trigger_dbt_cloud_job_run_and_wait_for_completion(
            login, number, options, 60, 0.02, retry_filtered_models_attempts=1
        )
    assert found["status"] == DbtCloudJobRunStatus.SUCCESS
    assert [run.trigger["schema_override"] for run in cloud.runs.values()] == ["ci", "ci"]


def test_a_wait_has_an_end(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    number = cloud.make_job(Plan(is_endless=True))
    with pytest.raises(JobTimeout):
        trigger_dbt_cloud_job_run_and_wait_for_completion(
            login, number, max_wait_seconds=0.1, poll_frequency_seconds=0.02
        )
    with pytest.raises(JobTimeout):
        wait_for_dbt_cloud_job_run(9000, login, 0.1, 0.02)
    assert cloud.is_alive(9000)


def test_the_twins_of_flows_that_take_a_run(cloud: DbtCloud, login: DbtCloudCredentials) -> None:
    job = make_job(login, cloud.make_job(Plan(HALF), Plan(BUILT), steps=[BUILD]))
    cloud.hidden = 2

    async def use() -> None:
        run = await job.atrigger()
        status, found = await await_for_dbt_cloud_job_run(run.run_id, login, 60, 0.02)
        assert (status, found["id"]) == (DbtCloudJobRunStatus.FAILED, run.run_id)
        assert DbtCloudJobRunStatus.is_terminal_status_code(status)
        again = aretry_dbt_cloud_job_run_subset_and_wait_for_completion
        done = await again(login, run.run_id, None, 60, 0.02)
        assert done["status"] == DbtCloudJobRunStatus.SUCCESS

    asyncio.run(use())
