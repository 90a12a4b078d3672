"""Clients of Secret Manager, Cloud Run and Cloud Logging, opened with Google Cloud credentials.

They use REST over requests, with its proxies and certificates, like Cloud Storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from flowstone.errors import MissingExtra
from flowstone_gcp.logs import keep_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.cloud.logging import Client as LoggingClient
    from google.cloud.run_v2 import ExecutionsClient, JobsClient, TasksClient
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    from flowstone_gcp.logins import GcpLogin

T = TypeVar("T")


def open_secret_manager(login: GcpLogin, endpoint: str | None) -> SecretManagerServiceClient:
    """Return a `SecretManagerServiceClient`.

    Args:
        login: provides the credentials.
        endpoint: the address of a region's service, or of an emulator.

    Raises:
        MissingExtra: google-cloud-secret-manager is not installed.
    """
    try:
        # An optional dependency, which takes 0.4 s to load.
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports.rest import (
            SecretManagerServiceRestTransport as Transport,
        )
    except ImportError as error:
        raise MissingExtra("Secret Manager", "flowstone-gcp[secret_manager]") from error
    client = SecretManagerServiceClient(transport=_open_transport(Transport, login, endpoint))
    keep_secrets()
    return client


def open_run_jobs(login: GcpLogin, endpoint: str | None) -> JobsClient:
    """Return a `JobsClient` of Cloud Run; see `open_secret_manager`."""
    try:
        # An optional dependency.
        from google.cloud.run_v2 import JobsClient
        from google.cloud.run_v2.services.jobs.transports.rest import JobsRestTransport
    except ImportError as error:
        raise MissingExtra("Cloud Run", "flowstone-gcp[cloud_run]") from error
    return JobsClient(transport=_open_transport(JobsRestTransport, login, endpoint))


def open_run_executions(login: GcpLogin, endpoint: str | None) -> ExecutionsClient:
    """Return an `ExecutionsClient` of Cloud Run; see `open_secret_manager`."""
    try:
        # An optional dependency.
        from google.cloud.run_v2 import ExecutionsClient
        from google.cloud.run_v2.services.executions.transports.rest import (
            ExecutionsRestTransport,
        )
    except ImportError as error:
        raise MissingExtra("Cloud Run", "flowstone-gcp[cloud_run]") from error
    return ExecutionsClient(transport=_open_transport(ExecutionsRestTransport, login, endpoint))


def open_run_tasks(login: GcpLogin, endpoint: str | None) -> TasksClient:
    """Return a `TasksClient` of Cloud Run; see `open_secret_manager`."""
    try:
        # An optional dependency.
        from google.cloud.run_v2 import TasksClient
        from google.cloud.run_v2.services.tasks.transports.rest import TasksRestTransport
    except ImportError as error:
        raise MissingExtra("Cloud Run", "flowstone-gcp[cloud_run]") from error
    return TasksClient(transport=_open_transport(TasksRestTransport, login, endpoint))


def open_logging(login: GcpLogin, endpoint: str | None) -> LoggingClient:
    """Return a `Client` of Cloud Logging; see `open_secret_manager`."""
    try:
        from google.cloud.logging import Client, Resource  # an optional dependency
    except ImportError as error:
        raise MissingExtra("Cloud Logging", "flowstone-gcp[cloud_run]") from error

    class Reader(Client):
        """Does not query the metadata server, which the SDK does for each page."""

        def logger(
            self, name: str, *, labels: dict[str, str] | None = None, resource: object = None
        ) -> object:
            make: Callable[..., object] = super().logger
            known = resource or Resource(type="global", labels={})
            return make(name, labels=labels, resource=known)

    open_reader: Callable[..., LoggingClient] = Reader
    return open_reader(
        project=login.project() or "-",
        credentials=login.credentials(),
        _http=login.session(),
        client_options={"api_endpoint": endpoint} if endpoint else None,
        _use_grpc=False,
    )


def _open_transport(kind: Callable[..., T], login: GcpLogin, endpoint: str | None) -> T:
    given: dict[str, object] = {"credentials": login.credentials()}
    if endpoint:
        parts = urlsplit(endpoint)
        given |= {"host": parts.netloc, "url_scheme": parts.scheme}
    return kind(**given)


#: By the name of the client.
SERVICES: dict[str, Callable[[GcpLogin, str | None], object]] = {
    "cloud_run_executions": open_run_executions,
    "cloud_run_jobs": open_run_jobs,
    "cloud_run_tasks": open_run_tasks,
    "logging": open_logging,
    "secret_manager": open_secret_manager,
}
