"""Programs over dbt Cloud: each call shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.services.dbt_cloud import ACCOUNT, Plan, serve_dbt_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.parity.conftest import Program

FAILED = [("model.shop.orders", "error", "no such table"), ("model.shop.sums", "skipped", "")]
BUILT = [("model.shop.orders", "success", "")]


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What the programs have in place of their own account."""
    with serve_dbt_cloud() as cloud:
        login = {"api_key": cloud.token, "account_id": ACCOUNT, "domain": cloud.url}
        job = cloud.make_job(Plan({"dbt build": FAILED}), Plan({"dbt build": BUILT}))
        yield {"login": login, "job": job, "cloud": cloud}


def test_a_job_is_saved_loaded_and_run(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt.cloud import DbtCloudCredentials, DbtCloudJob
        from prefect_dbt.cloud.jobs import run_dbt_cloud_job

        DbtCloudCredentials(**login).save("credentials")
        DbtCloudJob(
            dbt_cloud_credentials=DbtCloudCredentials.load("credentials"),
            job_id=job,
            interval_seconds=0.02,
        ).save("job")

        @flow
        def run_dbt_job_flow():
            return run_dbt_cloud_job(
                dbt_cloud_job=DbtCloudJob.load("job"), targeted_retries=1
            )

        result = run_dbt_job_flow()
        """,
        **names,
    )
    assert made.result["status"] == 10
    assert len(names["cloud"].runs) == 2


def test_a_run_is_followed_by_its_methods(program: Program, names: dict[str, Any]) -> None:
    told: list[str] = []
    made = program(
        """
        from prefect import flow
        from prefect_dbt.cloud import DbtCloudCredentials, DbtCloudJob
        from prefect_dbt.cloud.models import TriggerJobRunOptions

        @flow
        def trigger_and_retry():
            block = DbtCloudJob(
                dbt_cloud_credentials=DbtCloudCredentials(**login), job_id=job,
                timeout_seconds=60, interval_seconds=0.02,
                trigger_job_run_options=TriggerJobRunOptions(threads_override=2),
            )
            assert block.get_job()["id"] == job
            run = block.trigger()
            try:
                run.wait_for_completion()
            except Exception as error:
                told.append(str(error))
            assert run.get_status_code() == 20
            assert run.get_run()["id"] == run.run_id
            again = run.retry_failed_steps()
            again.wait_for_completion()
            artifact = again.get_run_artifacts("run_results.json")
            return again.fetch_result(step=4), artifact["results"]

        result, results = trigger_and_retry()
        """,
        **names,
        told=told,
    )
    assert "model.shop.orders (error)" in told[0]
    assert made.result["artifact_paths"] == ["manifest.json", "run_results.json"]
    assert [each["unique_id"] for each in made.results] == ["model.shop.orders"]
    assert [run.trigger["threads_override"] for run in names["cloud"].runs.values()] == [2, 2]


def test_jobs_and_runs_are_read_by_tasks(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt.cloud import DbtCloudCredentials
        from prefect_dbt.cloud.jobs import (
            create_dbt_cloud_job, delete_dbt_cloud_job, get_dbt_cloud_job_info, get_run_id,
            trigger_dbt_cloud_job_run, trigger_dbt_cloud_job_run_and_wait_for_completion,
            retry_dbt_cloud_job_run_subset_and_wait_for_completion,
        )
        from prefect_dbt.cloud.models import TriggerJobRunOptions
        from prefect_dbt.cloud.runs import (
            get_dbt_cloud_run_artifact, get_dbt_cloud_run_info, list_dbt_cloud_run_artifacts,
            wait_for_dbt_cloud_job_run,
        )
        from prefect_dbt.cloud import call_dbt_cloud_administrative_api_endpoint

        @flow
        def everything():
            credentials = DbtCloudCredentials(**login)
            made = create_dbt_cloud_job(credentials, project_id=1, environment_id=2, name="ci")
            assert get_dbt_cloud_job_info(credentials, made["id"], order_by="id")["name"] == "ci"
            delete_dbt_cloud_job(dbt_cloud_credentials=credentials, job_id=made["id"])
            options = TriggerJobRunOptions(git_branch="staging", schema_override="dbt_cloud_pr_123")
            run = trigger_dbt_cloud_job_run(
                dbt_cloud_credentials=credentials, job_id=job, options=options
            )
            run_id = get_run_id(run)
            status, info = wait_for_dbt_cloud_job_run(
                run_id=run_id, dbt_cloud_credentials=credentials, max_wait_seconds=60,
                poll_frequency_seconds=0.02,
            )
            assert status == info["status"] == 20
            done = retry_dbt_cloud_job_run_subset_and_wait_for_completion(
                dbt_cloud_credentials=credentials, run_id=run_id, poll_frequency_seconds=0.02
            )
            paths = list_dbt_cloud_run_artifacts(credentials, run_id=done["id"])
            manifest = get_dbt_cloud_run_artifact(
                dbt_cloud_credentials=credentials, run_id=done["id"], path="manifest.json"
            )
            steps = get_dbt_cloud_run_info(credentials, done["id"], include_related=["run_steps"])
            projects = call_dbt_cloud_administrative_api_endpoint(
                dbt_cloud_credentials=credentials, path="/projects/", http_method="GET"
            )
            trigger_dbt_cloud_job_run_and_wait_for_completion(
                dbt_cloud_credentials=credentials, job_id=job, poll_frequency_seconds=0.02
            )
            return paths, manifest, len(steps["run_steps"]), projects["data"]

        found = everything()
        """,
        **names,
    )
    paths, manifest, steps, projects = made.found
    assert (paths, manifest, steps) == (["manifest.json", "run_results.json"], {}, 4)
    assert projects == [{"id": 1, "name": "Shop"}]


def test_clients_are_used_in_a_block(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow, task
        from prefect_dbt.cloud import DbtCloudCredentials

        credentials = DbtCloudCredentials(**login)

        @task
        def metadata():
            with credentials.get_metadata_client() as client:
                return client.query("{ job(id: 1) { models { uniqueId } } }")

        @task
        def start():
            with credentials.get_administrative_client() as client:
                return client.trigger_job_run(job).json()["data"]

        @flow
        def both():
            with credentials.get_client("administrative") as client:
                assert client.get_job(job).json()["data"]["id"] == job
            return metadata(), start()

        answer, run = both()
        """,
        **names,
    )
    assert made.answer["data"]["job"]["models"]
    assert made.run["id"] in names["cloud"].runs
