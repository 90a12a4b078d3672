"""Lookup of datasets and tables in BigQuery, their locations and schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.errors import QueryInvalid

if TYPE_CHECKING:
    import google.cloud.bigquery as bigquery

    from flowstone_gcp.logins import GcpLogin

_NAME = re.compile(r"`((?:[^`\\]|\\.)*)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class BigQuerySettings:
    """The settings of a driver, besides the credentials.

    Attributes:
        project, dataset, location: where statements run; None for the defaults.
        endpoint, storage_endpoint: addresses of an emulator.
        maximum_bytes_billed: a query that would be billed for more fails.
        labels: the labels of each job.
        priority: ``INTERACTIVE`` or ``BATCH``.
        use_query_cache: whether BigQuery may return a cached result.
        fetch_size: number of rows per page over REST.
        cancel_on_kill: whether a query is cancelled if its run is killed.
    """

    project: str | None = None
    dataset: str | None = None
    location: str | None = None
    endpoint: str | None = None
    storage_endpoint: str | None = None
    maximum_bytes_billed: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: str = "INTERACTIVE"
    use_query_cache: bool = True
    fetch_size: int = 10_000
    cancel_on_kill: bool = True


class BigQueryPlaces:
    """Finds datasets and tables by name, and their locations."""

    def __init__(
        self, client: bigquery.Client, login: GcpLogin, settings: BigQuerySettings, where: str
    ) -> None:
        """Take a client and the places of its jobs.

        Args:
            client: the client of google-cloud-bigquery.
            login: the credentials of its requests.
            settings: the default dataset and location.
            where: the warehouse, for messages.
        """
        self._client, self._login, self._settings, self._where = client, login, settings, where
        self._locations: dict[str, str] = {}

    def find_dataset(self, name: str | None = None) -> bigquery.DatasetReference:
        """Return the reference of a dataset; by default the block's."""
        from google.cloud.bigquery import DatasetReference  # an optional dependency

        project, _, dataset = (name or self._settings.dataset or "").rpartition(".")
        return DatasetReference(project or self._client.project, dataset)

    def find_table(self, name: str) -> bigquery.TableReference:
        """Return the reference of a table: ``table``, ``dataset.table`` or with a project.

        A decorator, as in ``table$20260131``, names a partition.
        """
        from google.cloud.bigquery import TableReference  # an optional dependency

        found = _NAME.findall(name)
        parts = [_unescape(part) for part in found] if found else name.split(".")
        project, dataset, table = [*[""] * (3 - len(parts)), *parts][-3:]
        if len(parts) > 3:
            project, dataset, table = ".".join(parts[:-2]), parts[-2], parts[-1]
        if not dataset and not self._settings.dataset:
            problem = f"the table name {name!r} has no dataset"
            remedy = "Write dataset.table, or set the warehouse's dataset."
            raise QueryInvalid(self._where, problem, remedy)
        where = self.find_dataset(f"{project}.{dataset}".strip(".") if dataset else None)
        return TableReference(where, table)

    def find_location(
        self, place: bigquery.DatasetReference | bigquery.TableReference | None = None
    ) -> str | None:
        """Return where jobs run: the block's location, or that of a dataset.

        Args:
            place: the reference of a dataset or of a table in it; by default the block's dataset.
                If there is none, the location is None, and BigQuery derives it from the query.
        """
        if self._settings.location:
            return self._settings.location
        if place is None:
            if not self._settings.dataset:
                return None
            place = self.find_dataset()
        name = f"{place.project}.{place.dataset_id}"
        if name not in self._locations:
            found = self._client.get_dataset(self.find_dataset(name), retry=self._login.retry())
            self._locations[name] = found.location
        return self._locations[name]

    def fetch_schema(self, table: bigquery.TableReference) -> list[bigquery.SchemaField]:
        """Return the schema of a table, by its reference."""
        from google.cloud.bigquery import TableReference  # an optional dependency

        dataset = self.find_dataset(f"{table.project}.{table.dataset_id}")
        plain = TableReference(dataset, table.table_id.partition("$")[0])
        return list(self._client.get_table(plain, retry=self._login.retry()).schema)


def quote_name(name: str) -> str:
    """Return a name quoted for statements, whatever characters it has."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)
