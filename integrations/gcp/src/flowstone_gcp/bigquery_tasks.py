"""BigQuery as tasks: query, create tables, stream rows in, load files, each with an async version.

The credentials are a `GcpCredentials`, or a `BigQueryWarehouse`, whose limits and labels apply.
"""

# ruff: noqa: PLR0913 - the parameters are those that users know

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flowstone import make_async_twin, task
from flowstone.blocks.databases.cancellation import in_thread
from flowstone_gcp import bigquery_task_calls as calls
from flowstone_gcp.bigquery import BigQueryWarehouse
from flowstone_gcp.bigquery_task_calls import BigQueryLoadResult, QueryParameter
from flowstone_gcp.credentials import GcpCredentials

Login = GcpCredentials | BigQueryWarehouse
Options = Mapping[str, object]


@task
def bigquery_query(
    query: str,
    gcp_credentials: Login,
    query_params: Sequence[QueryParameter] | None = None,
    dry_run_max_bytes: int | None = None,
    dataset: str | None = None,
    table: str | None = None,
    to_dataframe: bool = False,
    job_config: Options | None = None,
    project: str | None = None,
    result_transformer: Callable[[list[object]], object] | None = None,
    location: str | None = None,
) -> object:
    """Run a query or a script, and return its rows.

    Args:
        query: the SQL, with ``@name`` or ``?`` for each parameter.
        gcp_credentials: the credentials, or a `BigQueryWarehouse`.
        query_params: objects of the SDK, or (name, type, value), such as
            ``("day", "DATE", "2026-01-31")``.
        dry_run_max_bytes: a query that would read more bytes is refused before it runs.
        dataset: the dataset of the table that the rows are written to.
        table: the table that the rows are written to.
        to_dataframe: whether the rows are returned as a pandas DataFrame.
        job_config: other fields of `google.cloud.bigquery.QueryJobConfig`.
        project: where the job runs; by default that of the credentials.
        result_transformer: its result for the rows is returned instead of the rows.
        location: where the job runs; by default where the dataset or the data is.

    Returns:
        The rows, with values by position and by name, like the SDK's `Row`; a DataFrame; or the
        result of the transformer.

    Raises:
        QueryInvalid: the query is invalid.
        DatabaseError: it would read too many bytes, or BigQuery refused the request.
        MissingExtra: google-cloud-bigquery, or pandas, is not installed.

    Example:
        query = "SELECT @number AS number"
        rows = bigquery_query(query, gcp_credentials, [("number", "INT64", 3)])
    """
    asked = calls.Query(
        text=query,
        parameters=query_params or (),
        most_bytes=dry_run_max_bytes,
        destination=calls.make_destination(dataset, table),
        options=job_config or {},
        as_frame=to_dataframe,
    )
    found = calls.run_query(calls.reach(gcp_credentials, project, location), asked)
    if result_transformer is None or not isinstance(found, list):
        return found
    return result_transformer(found)


@task
def bigquery_create_table(
    dataset: str,
    table: str,
    gcp_credentials: Login,
    schema: Sequence[object] | None = None,
    clustering_fields: Sequence[str] | None = None,
    time_partitioning: object = None,
    project: str | None = None,
    location: str | None = None,
    external_config: object = None,
) -> str:
    """Create a table, and its dataset, unless they exist; return the table's name.

    Args:
        dataset: the dataset.
        table: the table.
        gcp_credentials: the credentials, or a `BigQueryWarehouse`.
        schema: the columns, as `google.cloud.bigquery.SchemaField`.
        clustering_fields: columns to cluster by.
        time_partitioning: a `google.cloud.bigquery.TimePartitioning`.
        project: the project; by default that of the credentials.
        location: where a new dataset is created; by default Google's choice, the US.
        external_config: a `google.cloud.bigquery.ExternalConfig`, for external data.

    Raises:
        QueryInvalid: neither schema nor external_config is given, or BigQuery refused them.
        DatabaseError: BigQuery refused the request.
        MissingExtra: google-cloud-bigquery is not installed.

    Example:
        bigquery_create_table(dataset, table, gcp_credentials, schema)
    """
    made = calls.NewTable(
        dataset=dataset,
        table=table,
        schema=schema,
        cluster_by=clustering_fields or (),
        partition_by=time_partitioning,
        external=external_config,
        location=location,
    )
    return calls.create_table(calls.reach(gcp_credentials, project, location), made)


@task
def bigquery_insert_stream(
    dataset: str,
    table: str,
    records: Sequence[Mapping[str, object]],
    gcp_credentials: Login,
    project: str | None = None,
    location: str | None = None,
) -> list[dict[str, object]]:
    """Stream rows into a table with ``tabledata.insertAll``; they can be queried within seconds.

    A refused row does not prevent the others. `BigQueryWarehouse.append_rows` adds all rows or
    none, and costs less.

    Args:
        dataset: the dataset.
        table: the table, which must exist.
        records: the rows, as dicts.
        gcp_credentials: the credentials, or a `BigQueryWarehouse`.
        project: the project; by default that of the credentials.
        location: not used: rows are added where the table is.

    Returns:
        An empty list: errors in rows are raised.

    Raises:
        RowsInvalid: BigQuery refused rows; the message names them and the reasons, without values.
        TableMissing: there is no such table.
        DatabaseError: BigQuery refused the request.
        MissingExtra: google-cloud-bigquery is not installed.

    Example:
        bigquery_insert_stream(dataset, table, records, gcp_credentials)
    """
    warehouse = calls.reach(gcp_credentials, project, location)
    calls.insert_stream(warehouse, f"{dataset}.{table}", records)
    return []


@task
def bigquery_load_cloud_storage(
    dataset: str,
    table: str,
    uri: str | Sequence[str],
    gcp_credentials: Login,
    schema: Sequence[object] | None = None,
    job_config: Options | None = None,
    project: str | None = None,
    location: str | None = None,
) -> BigQueryLoadResult:
    """Load objects in Cloud Storage into a table with one job, all or none.

    Args:
        dataset: the dataset.
        table: the table; created if it does not exist. ``table$20260131`` is a partition.
        uri: ``gs://bucket/2026/*.csv``, or several.
        gcp_credentials: the credentials, or a `BigQueryWarehouse`.
        schema: the columns, as `google.cloud.bigquery.SchemaField`; by default the table's, or
            those that BigQuery detects in the files.
        job_config: other fields of `google.cloud.bigquery.LoadJobConfig`, such as
            ``{"source_format": "CSV", "write_disposition": "WRITE_TRUNCATE"}``.
        project: where the job runs; by default that of the credentials.
        location: where the job runs; by default where the dataset is.

    Returns:
        The result of the job: its id, and the number of rows and bytes written.

    Raises:
        RowsInvalid: the files don't fit the table; nothing was added.
        TableMissing: there is no such dataset.
        DatabaseError: BigQuery refused the request.
        MissingExtra: google-cloud-bigquery is not installed.

    Example:
        found = bigquery_load_cloud_storage(dataset, table, uri, gcp_credentials)
    """
    uris = [uri] if isinstance(uri, str) else list(uri)
    warehouse = calls.reach(gcp_credentials, project, location)
    return calls.load_uris(warehouse, f"{dataset}.{table}", uris, schema, job_config or {})


@task
def bigquery_load_file(
    dataset: str,
    table: str,
    path: str | Path,
    gcp_credentials: Login,
    schema: Sequence[object] | None = None,
    job_config: Options | None = None,
    rewind: bool = False,
    size: int | None = None,
    project: str | None = None,
    location: str | None = None,
) -> BigQueryLoadResult:
    """Load a local file into a table with one job, all or none.

    Args:
        dataset: the dataset.
        table: the table; created if it does not exist. ``table$20260131`` is a partition.
        path: a file of CSV, JSON lines, Parquet, Avro or ORC.
        gcp_credentials: the credentials, or a `BigQueryWarehouse`.
        schema: the columns, as `google.cloud.bigquery.SchemaField`; by default the table's, or
            those that BigQuery detects in the file.
        job_config: other fields of `google.cloud.bigquery.LoadJobConfig`, such as
            ``{"source_format": "CSV", "write_disposition": "WRITE_TRUNCATE"}``.
        rewind: not used: the file is always read from its beginning.
        size: number of bytes of the file to load; by default all.
        project: where the job runs; by default that of the credentials.
        location: where the job runs; by default where the dataset is.

    Returns:
        The result of the job: its id, and the number of rows and bytes written.

    Raises:
        RowsInvalid: the file can't be read, or does not fit the table; nothing was added.
        TableMissing: there is no such dataset.
        DatabaseError: BigQuery refused the request.
        MissingExtra: google-cloud-bigquery is not installed.

    Example:
        found = bigquery_load_file(dataset, table, path, gcp_credentials)
    """
    del rewind
    warehouse = calls.reach(gcp_credentials, project, location)
    file = calls.LocalFile(Path(path), size)
    return calls.load_file(warehouse, f"{dataset}.{table}", file, schema, job_config or {})


abigquery_query = make_async_twin(bigquery_query, in_thread)
abigquery_create_table = make_async_twin(bigquery_create_table, in_thread)
abigquery_insert_stream = make_async_twin(bigquery_insert_stream, in_thread)
abigquery_load_cloud_storage = make_async_twin(bigquery_load_cloud_storage, in_thread)
abigquery_load_file = make_async_twin(bigquery_load_file, in_thread)
