"""Where the demo keeps its data: a bucket and a database on this machine, as saved blocks.

With accounts of your own, you need none of this: save a bucket and a database under these names.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.services.azure import azurite
from tests.services.gcs import gcs
from tests.services.postgres import postgres
from tests.services.s3 import KEY, SECRET, fast_s3

from flowstone.blocks import Database, ObjectStore
from flowstone_aws import AwsClientParameters, AwsCredentials, S3Bucket
from flowstone_azure import AzureBlobStorageContainer, AzureBlobStorageCredentials
from flowstone_dbt import DbtProject
from flowstone_duckdb import DuckDBDatabase
from flowstone_gcp import GcpCredentials, GcsBucket
from flowstone_mlflow import MlflowTracking
from flowstone_sqlalchemy import SqlAlchemyConnector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "nyc-flights"
DBT_PROJECT = Path(__file__).with_name("dbt_project")


@dataclass(frozen=True)
class Places:
    """The places that a run reads from and writes to.

    Attributes:
        lake: the bucket.
        warehouse: the database.
        project: the dbt project in that database.
        identity: differs when the bucket or the database was created anew, so that earlier cache
            entries do not count.
    """

    lake: ObjectStore
    warehouse: Database
    project: DbtProject
    identity: str


def find_home() -> Path:
    """Return the folder that the demo writes to."""
    return Path(os.environ.get("FLOWSTONE_HOME", "~/.flowstone")).expanduser() / "demo"


def save_tracking() -> None:
    """Save the block for MLflow tracking: in a file, without a server."""
    home = find_home()
    home.mkdir(parents=True, exist_ok=True)
    MlflowTracking(
        tracking_uri=f"sqlite:///{home.absolute()}/mlflow.db",
        experiment=NAME,
        artifact_location=(home / "models").absolute().as_uri(),
    ).save(NAME, overwrite=True)


@contextmanager
def open_places(store: str, warehouse: str) -> Iterator[Places]:
    """Start the local stand-ins, save the blocks that point to them, and load these by name.

    Args:
        store: ``s3``, ``gcs`` or ``azure``.
        warehouse: ``duckdb`` or ``postgres``.
    """
    home = find_home()
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        STORES[store](stack, home / store)
        WAREHOUSES[warehouse](stack, home / warehouse)
        lake: ObjectStore = BUCKETS[store].load(NAME)
        database: Database = DATABASES[warehouse].load(NAME)
        stack.callback(database.close)
        project = DbtProject(
            project_dir=DBT_PROJECT, target_path=str(home / "dbt"), database=database
        )
        yield Places(
            lake, database, project, f"{_identify_lake(lake)}/{_identify_warehouse(database)}"
        )


def _start_s3(stack: ExitStack, folder: Path) -> None:
    service = stack.enter_context(fast_s3(keep=folder))
    (folder / NAME).mkdir(exist_ok=True)  # each folder in it is a bucket
    login = AwsCredentials(
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        aws_client_parameters=AwsClientParameters(endpoint_url=service.url),
    )
    S3Bucket(bucket_name=NAME, credentials=login).save(NAME, overwrite=True)


def _start_gcs(stack: ExitStack, folder: Path) -> None:
    login = GcpCredentials(
        anonymous=True, project="demo", endpoint=stack.enter_context(gcs(keep=folder))
    )
    bucket = GcsBucket(bucket=NAME, gcp_credentials=login)
    if not (folder / NAME).exists():
        bucket.create_bucket()
    bucket.save(NAME, overwrite=True)


def _start_azure(stack: ExitStack, folder: Path) -> None:
    service = stack.enter_context(azurite(keep=folder))
    login = AzureBlobStorageCredentials(connection_string=service.connection_string)
    container = login.get_client().get_container_client(NAME)
    if not container.exists():
        container.create_container()
    AzureBlobStorageContainer(container_name=NAME, credentials=login).save(NAME, overwrite=True)


def _start_duckdb(_: ExitStack, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    DuckDBDatabase(path=str(folder / "flights.duckdb")).save(NAME, overwrite=True)


def _start_postgres(stack: ExitStack, folder: Path) -> None:
    # It refuses to run as root, and its own user has to reach its files.
    is_reachable = os.geteuid() or all(each.stat().st_mode & 0o001 for each in folder.parents)
    url = stack.enter_context(postgres(keep=folder if is_reachable else None))
    SqlAlchemyConnector(connection_info=url).save(NAME, overwrite=True)


def _identify_lake(lake: ObjectStore) -> str:
    if not lake.exists("identity"):
        lake.write_path("identity", uuid4().hex.encode())
    return lake.read_path("identity").decode()


def _identify_warehouse(database: Database) -> str:
    database.execute("CREATE TABLE IF NOT EXISTS identity (id VARCHAR(32))")
    row = database.fetch_one("SELECT id FROM identity")
    if row is None:
        database.insert("identity", [{"id": uuid4().hex}])
        return _identify_warehouse(database)
    return str(row[0])


STORES: dict[str, Callable[[ExitStack, Path], None]] = {
    "s3": _start_s3,
    "gcs": _start_gcs,
    "azure": _start_azure,
}
BUCKETS: dict[str, type[ObjectStore]] = {
    "s3": S3Bucket,
    "gcs": GcsBucket,
    "azure": AzureBlobStorageContainer,
}
WAREHOUSES: dict[str, Callable[[ExitStack, Path], None]] = {
    "duckdb": _start_duckdb,
    "postgres": _start_postgres,
}
DATABASES: dict[str, type[Database]] = {"duckdb": DuckDBDatabase, "postgres": SqlAlchemyConnector}
