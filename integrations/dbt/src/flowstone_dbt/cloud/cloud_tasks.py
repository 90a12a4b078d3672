"""Tasks for dbt Cloud's jobs, runs and artifacts, each with an async version."""

from __future__ import annotations

from typing import Any

from flowstone import make_async_twin, task
from flowstone_dbt.cloud.clients import read_artifact, read_data
from flowstone_dbt.cloud.credentials import DbtCloudCredentials
from flowstone_dbt.cloud.job import DbtCloudJob
from flowstone_dbt.cloud.models import TriggerJobRunOptions
from flowstone_dbt.cloud.records import Artifact, JsonObject


@task
def get_dbt_cloud_job_info(
    dbt_cloud_credentials: DbtCloudCredentials, job_id: int, order_by: str | None = None
) -> JsonObject:
    """Return a job as the API returns it.

    Example:
        job = get_dbt_cloud_job_info(dbt_cloud_credentials, job_id)

    Args:
        dbt_cloud_credentials: the credentials.
        job_id: the id of the job.
        order_by: a field of the API to order by; a leading ``-`` reverses the order.

    Raises:
        JobLost: there is no such job.
        CredentialsError: the credentials were refused.
    """
    found: JsonObject = dbt_cloud_credentials.ask(
        lambda client: read_data(client.get_job(job_id, order_by))
    )
    return found


@task
def create_dbt_cloud_job(
    dbt_cloud_credentials: DbtCloudCredentials,
    project_id: int,
    environment_id: int,
    name: str,
    execute_steps: list[str] | None = None,
    **kwargs: Any,
) -> JsonObject:
    """Create a job without a trigger, and return it.

    Example:
        job = create_dbt_cloud_job(
            dbt_cloud_credentials, project_id, environment_id, name, ["dbt build"]
        )

    Args:
        dbt_cloud_credentials: the credentials.
        project_id: the id of its project.
        environment_id: the id of the environment that it runs in.
        name: its name.
        execute_steps: its commands; by default ``dbt build``.
        **kwargs: other fields of a job in the API.

    Raises:
        JobError: dbt Cloud refused it.
        CredentialsError: the credentials were refused.
    """
    response = dbt_cloud_credentials.ask(
        lambda client: client.create_job(project_id, environment_id, name, execute_steps, **kwargs)
    )
    found: JsonObject = read_data(response)
    return found


@task
def delete_dbt_cloud_job(dbt_cloud_credentials: DbtCloudCredentials, job_id: int) -> None:
    """Delete a job.

    Example:
        delete_dbt_cloud_job(dbt_cloud_credentials, job_id)

    Args:
        dbt_cloud_credentials: the credentials.
        job_id: the id of the job.

    Raises:
        JobLost: there is no such job.
        CredentialsError: the credentials were refused.
    """
    dbt_cloud_credentials.ask(lambda client: client.delete_job(job_id))


@task
def trigger_dbt_cloud_job_run(
    dbt_cloud_credentials: DbtCloudCredentials,
    job_id: int,
    options: TriggerJobRunOptions | None = None,
) -> JsonObject:
    """Start a run of a job without waiting, and return it as the API returns it.

    `wait_for_dbt_cloud_job_run` waits for it. With saved credentials, `flowstone run cleanup` can
    cancel it.

    Example:
        run = trigger_dbt_cloud_job_run(dbt_cloud_credentials, job_id)
        run_id = get_run_id(run)

    Args:
        dbt_cloud_credentials: the credentials.
        job_id: the id of the job.
        options: overrides for this run.

    Raises:
        JobError: the run can't be started.
        CredentialsError: the credentials were refused.
    """
    job = DbtCloudJob(dbt_cloud_credentials=dbt_cloud_credentials, job_id=job_id)
    run = job.trigger(options)
    return job.find_fresh_run(run.handle) or run.get_run()


@task
def get_run_id(obj: JsonObject) -> int:
    """Return the id of a run that `trigger_dbt_cloud_job_run` returned.

    Example:
        run_id = get_run_id(obj)

    Args:
        obj: the run.

    Raises:
        KeyError: it is not a run, as it has no ``id``.
    """
    return int(obj["id"])


@task
def get_dbt_cloud_run_info(
    dbt_cloud_credentials: DbtCloudCredentials,
    run_id: int,
    include_related: list[str] | None = None,
) -> JsonObject:
    """Return a run as the API returns it.

    Example:
        run = get_dbt_cloud_run_info(dbt_cloud_credentials, run_id, ["run_steps"])

    Args:
        dbt_cloud_credentials: the credentials.
        run_id: the id of the run.
        include_related: related objects to include: ``trigger``, ``job``, ``run_steps``,
            ``debug_logs``.

    Raises:
        JobLost: there is no such run.
        CredentialsError: the credentials were refused.
    """
    found: JsonObject = dbt_cloud_credentials.ask(
        lambda client: read_data(client.get_run(run_id, include_related))
    )
    return found


@task
def list_dbt_cloud_run_artifacts(
    dbt_cloud_credentials: DbtCloudCredentials, run_id: int, step: int | None = None
) -> list[str]:
    """Return the paths of a run's artifacts.

    Example:
        paths = list_dbt_cloud_run_artifacts(dbt_cloud_credentials, run_id)

    Args:
        dbt_cloud_credentials: the credentials.
        run_id: the id of the run.
        step: the index of the step that wrote them, from 1; by default the last one.

    Raises:
        JobLost: there is no such run, or it has no artifacts.
        CredentialsError: the credentials were refused.
    """
    found = dbt_cloud_credentials.ask(lambda client: client.list_run_artifacts(run_id, step))
    return [*(read_data(found) or [])]


@task
def get_dbt_cloud_run_artifact(
    dbt_cloud_credentials: DbtCloudCredentials, run_id: int, path: str, step: int | None = None
) -> Artifact:
    """Return the content of an artifact: parsed JSON, or else text.

    Example:
        results = get_dbt_cloud_run_artifact(dbt_cloud_credentials, run_id, "run_results.json")

    Args:
        dbt_cloud_credentials: the credentials.
        run_id: the id of the run.
        path: the path, such as ``run_results.json`` or ``compiled/shop/models/orders.sql``.
        step: the index of the step that wrote it, from 1; by default the last one.

    Raises:
        JobLost: there is no such artifact.
        CredentialsError: the credentials were refused.
    """
    found = dbt_cloud_credentials.ask(lambda client: client.get_run_artifact(run_id, path, step))
    return read_artifact(found)


@task
def call_dbt_cloud_administrative_api_endpoint(
    dbt_cloud_credentials: DbtCloudCredentials,
    path: str,
    http_method: str,
    params: JsonObject | None = None,
    json: JsonObject | None = None,
) -> Artifact:
    """Call any endpoint of the administrative API; return parsed JSON, or else text.

    Example:
        call_dbt_cloud_administrative_api_endpoint(
            dbt_cloud_credentials, path="/projects/", http_method="GET"
        )

    Args:
        dbt_cloud_credentials: the credentials.
        path: the path after ``/api/v2/accounts/<id>``.
        http_method: ``GET``, ``POST`` …; a POST that may have succeeded is not retried.
        params: the query parameters.
        json: the body.

    Raises:
        JobError: dbt Cloud refused it.
        CredentialsError: the credentials were refused.
    """
    found = dbt_cloud_credentials.ask(
        lambda client: client.call_endpoint(http_method, path, params=params, json=json)
    )
    return read_artifact(found)


aget_dbt_cloud_job_info = make_async_twin(get_dbt_cloud_job_info)
acreate_dbt_cloud_job = make_async_twin(create_dbt_cloud_job)
adelete_dbt_cloud_job = make_async_twin(delete_dbt_cloud_job)
atrigger_dbt_cloud_job_run = make_async_twin(trigger_dbt_cloud_job_run)
aget_run_id = make_async_twin(get_run_id)
aget_dbt_cloud_run_info = make_async_twin(get_dbt_cloud_run_info)
alist_dbt_cloud_run_artifacts = make_async_twin(list_dbt_cloud_run_artifacts)
aget_dbt_cloud_run_artifact = make_async_twin(get_dbt_cloud_run_artifact)
acall_dbt_cloud_administrative_api_endpoint = make_async_twin(
    call_dbt_cloud_administrative_api_endpoint
)
