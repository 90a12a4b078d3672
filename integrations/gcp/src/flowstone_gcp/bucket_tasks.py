"""Creation of a bucket in Cloud Storage as a task, with an async version."""

from __future__ import annotations

from typing import Any

from flowstone import make_async_twin, task
from flowstone_gcp.cloud_storage_arguments import reach_bucket
from flowstone_gcp.credentials import GcpCredentials


@task
def cloud_storage_create_bucket(
    bucket: str,
    gcp_credentials: GcpCredentials | None = None,
    project: str | None = None,
    location: str | None = None,
    **create_kwargs: Any,
) -> str:
    """Create a bucket, and return its name.

    Args:
        bucket: the name, which must be globally unique.
        gcp_credentials: the credentials; by default application default credentials.
        project: where to create it; by default that of the credentials.
        location: the location, such as ``EU`` or ``europe-west1``; by default Google's.
        **create_kwargs: other arguments of `google.cloud.storage.Client.create_bucket`.

    Raises:
        StorageError: the bucket exists already, or Cloud Storage refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        cloud_storage_create_bucket(bucket, gcp_credentials, location="EU")
    """
    provider = reach_bucket(bucket, gcp_credentials, project)
    provider.retry_refused(lambda: provider.create(location, create_kwargs))
    return provider.bucket


acloud_storage_create_bucket = make_async_twin(cloud_storage_create_bucket)
