"""Clients of dbt Cloud's administrative API and Discovery API."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from flowstone.blocks.async_twins import make_twin
from flowstone.errors import JobError
from flowstone.records.redaction import redact
from flowstone_dbt.cloud.domains import DOMAIN, make_metadata_url, make_url
from flowstone_dbt.cloud.errors import MOST_WORDS
from flowstone_dbt.cloud.models import TriggerJobRunOptions
from flowstone_dbt.cloud.records import Artifact, JsonObject, Query
from flowstone_dbt.cloud.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

#: Default fields of a new job; the API requires all of them.
NEW_JOB: JsonObject = {
    "state": 1,
    "dbt_version": None,
    "triggers": {"github_webhook": False, "git_provider_webhook": False, "schedule": False},
    "settings": {"threads": 4, "target_name": "default"},
    "schedule": {"date": {"type": "every_day"}, "time": {"type": "every_hour", "interval": 1}},
}
TIMEOUT_SECONDS, MAX_RETRIES = 30.0, 6


class CloudClient:
    """Base class of both clients: a connection that a `with` block closes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)


class DbtCloudAdministrativeClient(CloudClient):
    """A client of the administrative API; each method has an async version, such as `aget_run`.

    Methods return an httpx response; `read_data` returns its data. Requests are retried if dbt
    Cloud is busy or does not answer, and only if that can't do anything twice.

    Args:
        api_key: a service token or a personal access token.
        account_id: the id of the account.
        domain: the access URL of the account, with or without ``https://``.
        timeout_seconds: timeout of the connection, and of waiting for data, in seconds.
        max_retries: maximum number of retries of a request.

    Raises:
        CredentialsError: the token is invalid.
    """

    def __init__(
        self,
        api_key: str,
        account_id: int,
        domain: str = DOMAIN,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self.where = f"dbt Cloud account {account_id} at {domain}"
        super().__init__(
            Transport(self.where, api_key, timeout_seconds=timeout_seconds, max_retries=max_retries)
        )
        self._account = account_id
        self._base = f"{make_url(domain)}/api/v2/accounts/{account_id}"

    def call_endpoint(
        self,
        http_method: str,
        path: str,
        params: Query | None = None,
        json: object = None,
    ) -> httpx.Response:
        """Call any endpoint of the account.

        Args:
            http_method: the method, such as ``GET``; a POST that may have succeeded is not retried.
            path: the path after ``/api/v2/accounts/<id>``, such as ``/projects/``.
            params: the query parameters.
            json: the body.

        Raises:
            FlowstoneError: the request was refused, or failed; see `Transport.send`.
        """
        return self._send(http_method.upper(), path, params=params, json=json)

    def get_account(self) -> httpx.Response:
        """Return the account."""
        return self._send("GET", "/")

    def create_job(
        self,
        project_id: int,
        environment_id: int,
        name: str,
        execute_steps: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        """Create a job.

        Args:
            project_id: the id of its project.
            environment_id: the id of the environment that it runs in.
            name: its name.
            execute_steps: its commands; by default ``dbt build``.
            **kwargs: other fields of a job in the API.
        """
        body = {
            "account_id": self._account,
            "project_id": project_id,
            "environment_id": environment_id,
            "name": name,
            "execute_steps": ["dbt build"] if execute_steps is None else [*execute_steps],
        }
        return self._send("POST", "/jobs/", json={**NEW_JOB, **body, **kwargs})

    async def acreate_job(
        self,
        project_id: int,
        environment_id: int,
        name: str,
        execute_steps: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        """Async version of `create_job`."""
        steps = execute_steps
        return await asyncio.to_thread(
            self.create_job, project_id, environment_id, name, steps, **kwargs
        )

    def delete_job(self, job_id: int) -> httpx.Response:
        """Delete a job."""
        return self._send("DELETE", f"/jobs/{int(job_id)}/")

    def get_job(self, job_id: int, order_by: str | None = None) -> httpx.Response:
        """Return a job.

        Args:
            job_id: the id of the job.
            order_by: a field of the API to order by; a leading ``-`` reverses the order.
        """
        return self._send("GET", f"/jobs/{int(job_id)}/", params={"order_by": order_by})

    def get_job_artifact(self, job_id: int, path: str) -> httpx.Response:
        """Return an artifact, such as ``manifest.json``, of a job's latest run that has one."""
        return self._send("GET", f"/jobs/{int(job_id)}/artifacts/{_quote(path)}")

    def trigger_job_run(
        self, job_id: int, options: TriggerJobRunOptions | None = None
    ) -> httpx.Response:
        """Start a run of a job; retried only if dbt Cloud certainly did not start one."""
        body = (options or TriggerJobRunOptions()).make_body()
        return self._send("POST", f"/jobs/{int(job_id)}/run/", json=body)

    def get_run(self, run_id: int, include_related: Sequence[str] | None = None) -> httpx.Response:
        """Return a run.

        Args:
            run_id: the id of the run.
            include_related: related objects to include: ``trigger``, ``job``, ``run_steps`` …
        """
        # The form of dbt Labs' own guides: include_related=["run_steps"].
        related = json.dumps([*include_related], separators=(",", ":")) if include_related else None
        params = {"include_related": related}
        return self._send("GET", f"/runs/{int(run_id)}/", params=params, handle=str(run_id))

    def cancel_run(self, run_id: int) -> httpx.Response:
        """Ask dbt Cloud to cancel a run."""
        path = f"/runs/{int(run_id)}/cancel/"
        return self._send("POST", path, is_repeatable=True, handle=str(run_id))

    def list_run_artifacts(self, run_id: int, step: int | None = None) -> httpx.Response:
        """Return the paths of a run's artifacts.

        Args:
            run_id: the id of the run.
            step: the index of the step that wrote them, from 1; by default the last one.
        """
        path = f"/runs/{int(run_id)}/artifacts/"
        return self._send("GET", path, params={"step": step}, handle=str(run_id))

    def get_run_artifact(self, run_id: int, path: str, step: int | None = None) -> httpx.Response:
        """Return an artifact of a run.

        Args:
            run_id: the id of the run.
            path: the path, such as ``run_results.json`` or ``compiled/shop/models/orders.sql``.
            step: the index of the step that wrote it, from 1; by default the last one.
        """
        place = f"/runs/{int(run_id)}/artifacts/{_quote(path)}"
        return self._send("GET", place, params={"step": step}, handle=str(run_id))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._transport.send(method, f"{self._base}/{path.lstrip('/')}", **options)

    acall_endpoint = make_twin(call_endpoint)
    aget_account = make_twin(get_account)
    adelete_job = make_twin(delete_job)
    aget_job = make_twin(get_job)
    aget_job_artifact = make_twin(get_job_artifact)
    atrigger_job_run = make_twin(trigger_job_run)
    aget_run = make_twin(get_run)
    acancel_run = make_twin(cancel_run)
    alist_run_artifacts = make_twin(list_run_artifacts)
    aget_run_artifact = make_twin(get_run_artifact)


class DbtCloudMetadataClient(CloudClient):
    """A client of the Discovery API, for GraphQL queries of metadata.

    Args:
        api_key: a service token with access to metadata.
        domain: the access URL of the account; the Discovery API's is derived from it.
        metadata_url: the URL of the Discovery API, to override the derived one.
        timeout_seconds: timeout of the connection, and of waiting for data, in seconds.
        max_retries: maximum number of retries of a query.

    Raises:
        CredentialsError: the token is invalid.
    """

    def __init__(
        self,
        api_key: str,
        domain: str = DOMAIN,
        *,
        metadata_url: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_retries: int = MAX_RETRIES,
    ) -> None:
        self._url = metadata_url or make_metadata_url(domain)
        self.where = f"dbt Cloud metadata at {self._url}"
        super().__init__(
            Transport(self.where, api_key, timeout_seconds=timeout_seconds, max_retries=max_retries)
        )

    def query(self, query: str, variables: Mapping[str, object] | None = None) -> JsonObject:
        """Run a GraphQL query and return the response, with the result under ``data``.

        Args:
            query: the GraphQL query.
            variables: the values of its variables.

        Raises:
            JobError: the query is invalid.
            FlowstoneError: the request was refused, or the service can't be reached.
        """
        body: dict[str, object] = {"query": query, "variables": {**(variables or {})}}
        response = self._transport.send("POST", self._url, json=body, is_repeatable=True)
        found = _read_object(self.where, response)
        if errors := found.get("errors"):
            words = "; ".join(str(_find_message(each)) for each in errors)
            problem = f"the query failed: {redact(words)[:MOST_WORDS]}"
            raise JobError(self.where, problem, "Try it in the GraphQL explorer of the URL.")
        return found

    aquery = make_twin(query)


def read_data(response: httpx.Response) -> Any:
    """Return the data of a response of the administrative API.

    Raises:
        JobError: it is not such a response; another server may be at that address.
    """
    return _read_object(str(response.request.url.copy_with(query=None)), response).get("data")


def read_artifact(response: httpx.Response) -> Artifact:
    """Return the content of an artifact: parsed JSON, or else text."""
    try:
        content: Artifact = response.json()
    except ValueError:
        return response.text
    return content if isinstance(content, dict | list) else response.text


def _read_object(where: str, response: httpx.Response) -> JsonObject:
    try:
        found = response.json()
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    problem = "the response is not a JSON object"
    raise JobError(where, problem, "Is `domain` the access URL of your account?")


def _find_message(error: object) -> object:
    return error.get("message", error) if isinstance(error, dict) else error


def _quote(path: str) -> str:
    return quote(path.lstrip("/"), safe="/")
