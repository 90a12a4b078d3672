"""Clients of BigQuery and its Storage API, opened with Google Cloud credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flowstone.errors import CredentialsError, MissingExtra
from flowstone_gcp.errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.cloud.bigquery import Client
    from google.cloud.bigquery_storage import BigQueryReadClient, BigQueryWriteClient
    from grpc import Channel

    from flowstone_gcp.logins import GcpLogin

EXTRA = "flowstone-gcp[bigquery]"


def open_bigquery(login: GcpLogin, overrides: Mapping[str, object]) -> Client:
    """Return a `google.cloud.bigquery.Client`.

    Args:
        login: provides credentials, project and HTTP session.
        overrides: arguments of the client, instead of those of the credentials. ``endpoint`` is the
            address of an emulator.

    Raises:
        MissingExtra: google-cloud-bigquery is not installed.
        CredentialsError: no credentials were found, or there is no project.
    """
    try:
        from google.cloud.bigquery import Client  # an optional dependency
    except ImportError as error:
        raise MissingExtra("BigQuery", EXTRA) from error
    given: dict[str, Any] = {"credentials": login.credentials(), "project": login.project()}
    if "credentials" not in overrides:
        given["_http"] = login.session()
    given.update({name: value for name, value in overrides.items() if value is not None})
    endpoint = given.pop("endpoint", None)
    if endpoint:
        given["client_options"] = {"api_endpoint": endpoint}
    if not given["project"]:
        raise CredentialsError(
            "BigQuery",
            f"there is no project to run jobs in, with {login.who()}",
            "Set project in the credentials or the warehouse, or GOOGLE_CLOUD_PROJECT.",
        )
    with translate_errors("BigQuery", login.who):
        try:
            return Client(**given)
        except (TypeError, ValueError) as error:
            raise CredentialsError(
                "a client of BigQuery", f"it can't be created: {error}", "Check the arguments."
            ) from error


def open_storage_reader(login: GcpLogin, endpoint: str | None) -> BigQueryReadClient:
    """Return a `BigQueryReadClient` of google-cloud-bigquery-storage.

    Args:
        login: provides the credentials.
        endpoint: the address of an emulator, such as ``http://localhost:9060``.
    """
    try:
        # An optional dependency.
        import google.cloud.bigquery_storage as storage
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
            BigQueryReadGrpcTransport,
        )
    except ImportError as error:
        raise MissingExtra("BigQuery's Storage API", EXTRA) from error
    if endpoint is None:
        return storage.BigQueryReadClient(credentials=login.credentials())
    return storage.BigQueryReadClient(
        transport=BigQueryReadGrpcTransport(channel=_open_channel(endpoint))
    )


def open_storage_writer(login: GcpLogin, endpoint: str | None) -> BigQueryWriteClient:
    """Return a `BigQueryWriteClient`; see `open_storage_reader`."""
    try:
        # An optional dependency.
        import google.cloud.bigquery_storage as storage
        from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
            BigQueryWriteGrpcTransport,
        )
    except ImportError as error:
        raise MissingExtra("BigQuery's Storage API", EXTRA) from error
    if endpoint is None:
        return storage.BigQueryWriteClient(credentials=login.credentials())
    return storage.BigQueryWriteClient(
        transport=BigQueryWriteGrpcTransport(channel=_open_channel(endpoint))
    )


def _open_channel(endpoint: str) -> Channel:
    """Return a gRPC channel to an emulator, without TLS."""
    import grpc  # installed with google-cloud-bigquery-storage

    sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.insecure_channel(urlsplit(endpoint).netloc or endpoint, options=sizes)
