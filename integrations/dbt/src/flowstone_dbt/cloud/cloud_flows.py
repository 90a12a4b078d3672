"""Flows that run a dbt Cloud job until it ends, each with an async version."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

from flowstone import flow
from flowstone.blocks.jobs import get_job_logger
from flowstone.errors import ConfigurationError, JobCancelled, JobFailed, JobLost
from flowstone_dbt.cloud import provider
from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient, read_data
from flowstone_dbt.cloud.credentials import DbtCloudCredentials
from flowstone_dbt.cloud.job import DbtCloudJob, DbtCloudJobRun
from flowstone_dbt.cloud.models import TriggerJobRunOptions
from flowstone_dbt.cloud.records import JsonObject
from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus
from flowstone_dbt.stopping import pause_for


@flow
def run_dbt_cloud_job(
    dbt_cloud_job: DbtCloudJob, targeted_retries: int = 3, create_assets: bool = False
) -> JsonObject:
    """Run a job and return the run with its ``artifact_paths``; retry failures.

    Args:
        dbt_cloud_job: the job.
        targeted_retries: maximum number of retries from the failed nodes; 0 for none.
        create_assets: must be False; Flowstone has no assets.

    Raises:
        JobFailed: the last run failed.
        JobCancelled: a run was cancelled in dbt Cloud.
        JobTimeout: a run has not ended within the job's `timeout_seconds`; it continues.
    """
    _refuse_assets(create_assets=create_assets)
    return _complete(dbt_cloud_job.trigger(), targeted_retries)


@flow
async def arun_dbt_cloud_job(
    dbt_cloud_job: DbtCloudJob, targeted_retries: int = 3, create_assets: bool = False
) -> JsonObject:
    """Async version of `run_dbt_cloud_job`."""
    _refuse_assets(create_assets=create_assets)
    return await _acomplete(await dbt_cloud_job.atrigger(), targeted_retries)


@flow
def trigger_dbt_cloud_job_run_and_wait_for_completion(
    dbt_cloud_credentials: DbtCloudCredentials,
    job_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
    retry_filtered_models_attempts: int = 3,
) -> JsonObject:
    """Run a job, and return the run with its ``artifact_paths``; retry what fails.

    Args:
        dbt_cloud_credentials: the credentials.
        job_id: the id of the job.
        trigger_job_run_options: overrides for its runs.
        max_wait_seconds: seconds to wait for each run; None waits without a limit.
        poll_frequency_seconds: the maximum seconds between two polls.
        retry_filtered_models_attempts: maximum number of retries from the failed nodes; 0 for none.

    Raises:
        JobFailed: the last run failed.
        JobCancelled: a run was cancelled in dbt Cloud.
        JobTimeout: a run has not ended in time; it continues.
    """
    job = _make_job(dbt_cloud_credentials, job_id, max_wait_seconds, poll_frequency_seconds)
    return _complete(job.trigger(trigger_job_run_options), retry_filtered_models_attempts)


@flow
async def atrigger_dbt_cloud_job_run_and_wait_for_completion(
    dbt_cloud_credentials: DbtCloudCredentials,
    job_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
    retry_filtered_models_attempts: int = 3,
) -> JsonObject:
    """Async version of `trigger_dbt_cloud_job_run_and_wait_for_completion`."""
    job = _make_job(dbt_cloud_credentials, job_id, max_wait_seconds, poll_frequency_seconds)
    run = await job.atrigger(trigger_job_run_options)
    return await _acomplete(run, retry_filtered_models_attempts)


@flow
def retry_dbt_cloud_job_run_subset_and_wait_for_completion(
    dbt_cloud_credentials: DbtCloudCredentials,
    run_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
) -> JsonObject:
    """Run what another run did not complete; return the new run with its ``artifact_paths``.

    Args:
        dbt_cloud_credentials: the credentials.
        run_id: the id of the failed run.
        trigger_job_run_options: overrides in addition to those of the failed run.
        max_wait_seconds: seconds to wait; None waits without a limit.
        poll_frequency_seconds: the maximum seconds between two polls.

    Raises:
        ConfigurationError: `trigger_job_run_options` has its own steps.
        JobError: the other run has not ended, or succeeded.
        JobFailed: the new run failed.
        JobTimeout: the new run has not ended in time; it continues.
    """
    failed = _find_run(
        dbt_cloud_credentials, run_id, max_wait_seconds, interval=poll_frequency_seconds
    )
    return _complete(failed.retry_failed_steps(trigger_job_run_options), 0)


@flow
async def aretry_dbt_cloud_job_run_subset_and_wait_for_completion(
    dbt_cloud_credentials: DbtCloudCredentials,
    run_id: int,
    trigger_job_run_options: TriggerJobRunOptions | None = None,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
) -> JsonObject:
    """Async version of `retry_dbt_cloud_job_run_subset_and_wait_for_completion`."""
    failed = await asyncio.to_thread(
        _find_run,
        dbt_cloud_credentials,
        run_id,
        max_wait_seconds,
        interval=poll_frequency_seconds,
    )
    return await _acomplete(await failed.aretry_failed_steps(trigger_job_run_options), 0)


@flow
def wait_for_dbt_cloud_job_run(
    run_id: int,
    dbt_cloud_credentials: DbtCloudCredentials,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
) -> tuple[DbtCloudJobRunStatus, JsonObject]:
    """Wait for a run; return its status, and the run as the API returns it.

    A failed or cancelled run raises nothing. If the flow is cancelled, so is the run.

    Args:
        run_id: the id of the run, which may have been triggered a moment ago.
        dbt_cloud_credentials: the credentials.
        max_wait_seconds: seconds to wait; None waits without a limit.
        poll_frequency_seconds: the maximum seconds between two polls.

    Raises:
        JobLost: there is no such run.
        JobTimeout: it has not ended in time; it continues.
    """
    run = _find_run(
        dbt_cloud_credentials, run_id, max_wait_seconds, interval=poll_frequency_seconds
    )
    with suppress(JobFailed, JobCancelled):
        run.wait()
    return _read_end(run)


@flow
async def await_for_dbt_cloud_job_run(
    run_id: int,
    dbt_cloud_credentials: DbtCloudCredentials,
    max_wait_seconds: float | None = 900,
    poll_frequency_seconds: float = 10,
) -> tuple[DbtCloudJobRunStatus, JsonObject]:
    """Async version of `wait_for_dbt_cloud_job_run`."""
    run = await asyncio.to_thread(
        _find_run,
        dbt_cloud_credentials,
        run_id,
        max_wait_seconds,
        interval=poll_frequency_seconds,
    )
    with suppress(JobFailed, JobCancelled):
        await run.await_for_completion()
    return await asyncio.to_thread(_read_end, run)


def _complete(run: DbtCloudJobRun, retries: int) -> JsonObject:
    """Wait for a run; retry failures up to `retries` times."""
    while True:
        try:
            return run.fetch_result()
        except JobFailed as error:
            if retries < 1:
                raise
            retries -= 1
            _tell_retry(error, retries)
        run = run.retry_failed_steps()


async def _acomplete(run: DbtCloudJobRun, retries: int) -> JsonObject:
    """Async version of `_complete`."""
    while True:
        try:
            return await run.afetch_result()
        except JobFailed as error:
            if retries < 1:
                raise
            retries -= 1
            _tell_retry(error, retries)
        run = await run.aretry_failed_steps()


def _tell_retry(error: JobFailed, left: int) -> None:
    get_job_logger().warning("%s Retrying; %d retries left", error, left)


def _make_job(
    credentials: DbtCloudCredentials, job_id: int, timeout: float | None, interval: float
) -> DbtCloudJob:
    return DbtCloudJob(
        dbt_cloud_credentials=credentials,
        job_id=job_id,
        timeout_seconds=timeout,
        interval_seconds=interval,
    )


def _find_run(
    credentials: DbtCloudCredentials, run_id: int, timeout: float | None, *, interval: float
) -> DbtCloudJobRun:
    """Return a run that was triggered elsewhere, perhaps a moment ago."""
    end = monotonic() + min(provider.FRESH_SECONDS, timeout or provider.FRESH_SECONDS)
    found = credentials.ask(lambda client: _read_new_run(client, run_id, end))
    job_id = int(found.get("job_definition_id") or found["job_id"])
    run = _make_job(credentials, job_id, timeout, interval).attach(str(run_id))
    assert isinstance(run, DbtCloudJobRun)
    return run


def _read_new_run(client: DbtCloudAdministrativeClient, run_id: int, end: float) -> JsonObject:
    """Return a run; if dbt Cloud does not know it yet, poll until `end`."""
    while True:
        try:
            found: JsonObject = read_data(client.get_run(run_id))
        except JobLost:
            if monotonic() > end:
                raise
        else:
            return found
        pause_for(provider.PAUSE_SECONDS)


def _read_end(run: DbtCloudJobRun) -> tuple[DbtCloudJobRunStatus, JsonObject]:
    found = run.get_run()
    return DbtCloudJobRunStatus(found["status"]), found


def _refuse_assets(*, create_assets: bool) -> None:
    if create_assets:
        problem = "Flowstone has no assets"
        remedy = "Remove it; the run's result names its artifacts."
        raise ConfigurationError("create_assets", problem, remedy)
