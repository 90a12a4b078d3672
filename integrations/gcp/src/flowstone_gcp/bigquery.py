"""BigQueryWarehouse: BigQuery as a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from flowstone.blocks import Database
from flowstone_gcp.bigquery_driver import BigQueryDriver
from flowstone_gcp.bigquery_places import BigQuerySettings
from flowstone_gcp.credentials import GcpCredentials, clean_endpoint

if TYPE_CHECKING:
    from google.cloud import bigquery


class BigQueryWarehouse(Database):
    """BigQuery in one project, with a default dataset.

    Statements run as jobs, whose ids are made of the current run and its attempt: a request whose
    answer was lost starts no second job. Jobs run where the data is.
    """

    _block_type_name: ClassVar[str | None] = "BigQuery Warehouse"
    _description: ClassVar[str | None] = "Google's BigQuery."
    _code_example: ClassVar[str | None] = (
        'BigQueryWarehouse(dataset="shop", maximum_bytes_billed=10**10).save("shop")\n'
        'BigQueryWarehouse.load("shop").fetch_all("SELECT id FROM orders WHERE day = ?", [day])'
    )

    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The login; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project that jobs run in; by default the login's."
    )
    dataset: str | None = Field(
        default=None, description="The dataset of table names without one; project.dataset too."
    )
    location: str | None = Field(
        default=None, description="Where jobs run, such as EU; by default where the dataset is."
    )
    maximum_bytes_billed: int | None = Field(
        default=None, gt=0, description="A query that would be billed for more bytes fails."
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels of each job, besides those of the run."
    )
    priority: Literal["INTERACTIVE", "BATCH"] = Field(
        default="INTERACTIVE", description="Whether queries start at once, or when there is room."
    )
    use_query_cache: bool = Field(
        default=True, description="Whether BigQuery may answer with an earlier result."
    )
    fetch_size: int = Field(default=10_000, gt=0, description="Rows of a page over REST.")
    cancel_on_kill: bool = Field(
        default=True,
        description="Whether a query ends with a run that is killed. If not, a retry waits for it.",
    )
    endpoint: str | None = Field(
        default=None, description="The URL of BigQuery, such as that of an emulator."
    )
    storage_endpoint: str | None = Field(
        default=None, description="The address of the Storage API of an emulator, without TLS."
    )

    @field_validator("endpoint", "storage_endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    def make_driver(self) -> BigQueryDriver:
        """Return a driver for the fields."""
        names = BigQuerySettings.__dataclass_fields__
        values = {name: getattr(self, name) for name in names}
        return BigQueryDriver(self.gcp_credentials.get_login(), BigQuerySettings(**values))

    def get_client(self) -> bigquery.Client:
        """Return the `google.cloud.bigquery.Client` that the statements go through."""
        return self._find_driver().session.client

    def _find_driver(self) -> BigQueryDriver:
        driver = self.driver_calls.driver
        assert isinstance(driver, BigQueryDriver)
        return driver
