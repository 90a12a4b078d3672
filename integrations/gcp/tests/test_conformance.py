"""The standard tests, on Google Cloud's blocks and plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from google.cloud.bigquery import SchemaField
from pandas import DataFrame
from pyarrow import Table, parquet
from pydantic import SecretStr
from tests.services.cloud_run import CloudRun
from tests.services.tokens import Tokens

from flowstone.blocks import Credentials, Database
from flowstone.blocks.databases import AwareDatetime
from flowstone.errors import RowsInvalid
from flowstone_gcp import (
    BigQueryWarehouse,
    CloudRunJob,
    GcpCredentials,
    GcpSecret,
    GcpSecrets,
    GcsBucket,
    SecretKeySelector,
)
from flowstone_testing import (
    Arguments,
    BlockSuite,
    CredentialsSuite,
    DatabaseSuite,
    EmulatorGap,
    Example,
    JobSuite,
    ObjectStoreSuite,
    PluginSuite,
    SecretsSuite,
    TaskSuite,
    reserve_closed_port,
)
from flowstone_testing.check.outside import find_sdks


class TestPlugin(PluginSuite):
    plugin = "gcp"
    package = "flowstone_gcp"
    sdks = ("google", "requests")


class TestGcpCredentials(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[GcpCredentials]:
        return [
            GcpCredentials(),
            GcpCredentials(
                service_account_info=key,
                project="other-project",
                impersonation_chain="a@p.iam.gserviceaccount.com, b@p.iam.gserviceaccount.com",
                scopes=["https://www.googleapis.com/auth/devstorage.read_only"],
                quota_project="paying-project",
            ),
            GcpCredentials(service_account_file="~/key.json", timeout_seconds=5),
            GcpCredentials(anonymous=True, endpoint="http://localhost:4443/"),
        ]


class TestGcsBucketBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[GcsBucket]:
        return [
            GcsBucket(bucket="raw"),
            GcsBucket(bucket="gs://raw/2026/", bucket_folder="/may"),
            GcsBucket(
                bucket="raw",
                gcp_credentials=GcpCredentials(service_account_info=key),
                storage_class="NEARLINE",
                encryption_key=uuid4().bytes + uuid4().bytes,
                requester_pays=True,
            ),
        ]


class TestGcpSecretsBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[GcpSecrets]:
        return [
            GcpSecrets(),
            GcpSecrets(
                gcp_credentials=GcpCredentials(service_account_info=key),
                project="other-project",
                endpoint="https://secretmanager.europe-west3.rep.googleapis.com",
                replica_locations=["europe-west3"],
            ),
        ]


class TestGcpSecretBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[GcpSecret]:
        login = GcpCredentials(service_account_info=key)
        return [
            GcpSecret(secret_name="db"),
            GcpSecret(secret_name="db", secret_version="3", gcp_credentials=login),
        ]


class TestGcpSecrets(SecretsSuite):
    name = "gcp-secret"
    versions = True

    @pytest.fixture
    def provider(self, secrets: GcpSecrets) -> GcpSecrets:
        return secrets

    @pytest.fixture
    def refused(self, key: dict[str, str], refusing: Tokens, secrets: GcpSecrets) -> GcpSecrets:
        wrong = GcpCredentials(
            service_account_info={**key, "token_uri": f"{refusing.url}/token"},
            project="example-project",
        )
        return secrets.model_copy(update={"gcp_credentials": wrong})


class TestCloudRunJobBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[CloudRunJob]:
        return [
            CloudRunJob(image="load:7"),
            CloudRunJob(
                credentials=GcpCredentials(service_account_info=key),
                project="other-project",
                region="europe-west3",
                job_name="nightly",
                args=["--day", "2026-05-01"],
                env={"MODE": "full"},
                env_from_secrets={"TOKEN": SecretKeySelector(secret="token", version="3")},
                cpu="2",
                memory="4Gi",
                task_count=3,
                parallelism=2,
                timeout=3600,
                labels={"team": "data"},
                keep_job=True,
                timeout_seconds=7200,
            ),
        ]


class TestCloudRunJob(JobSuite):
    lines = ("one", "two")

    @pytest.fixture
    def good(self, new_job: Callable[..., CloudRunJob]) -> CloudRunJob:
        return new_job("print('one'); print('two')")

    @pytest.fixture
    def bad(self, new_job: Callable[..., CloudRunJob]) -> CloudRunJob:
        return new_job("raise SystemExit(3)")

    @pytest.fixture
    def long(self, new_job: Callable[..., CloudRunJob]) -> CloudRunJob:
        return new_job("import time; time.sleep(600)")

    @pytest.fixture
    def alive(self, cloud_run: CloudRun) -> Callable[[str], bool]:
        return cloud_run.is_alive


@pytest.mark.check
@pytest.mark.check
class TestCloudRunJobThatExists(TestCloudRunJob):
    """The same with a definition that is somebody else's."""

    @pytest.fixture
    def new_job(
        self, new_job: Callable[..., CloudRunJob], cloud_run: CloudRun
    ) -> Callable[..., CloudRunJob]:
        def make(program: str) -> CloudRunJob:
            first = new_job("print('as it was made')", keep_job=True)
            first.run()
            cloud_run.asked.clear()
            name = [*cloud_run.jobs][-1].rpartition("/")[2]
            return new_job(program, image=None, command=[], job_name=name)

        return make


class TestGcpLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: GcpCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, key: dict[str, str], refusing: Tokens, emulated: str) -> Credentials:
        wrong = {**key, "token_uri": f"{refusing.url}/token"}
        return GcpCredentials(service_account_info=wrong, endpoint=emulated)

    @pytest.fixture
    def unreachable(self, key: dict[str, str]) -> Credentials:
        nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
        return GcpCredentials(service_account_info=key, endpoint=nowhere, timeout_seconds=2)


UPLOAD_SESSIONS = "an upload in parts ignores ifGenerationMatch"


class TestGcs(ObjectStoreSuite):
    presigns = conditional_writes = keeps_metadata = versions = True
    gaps: ClassVar[Mapping[str, EmulatorGap]] = {
        "test_a_large_new_object_is_never_written_over": EmulatorGap(
            "fake-gcs-server", "0.1.1", UPLOAD_SESSIONS, pytest.fail.Exception
        ),
        "test_a_large_object_that_was_changed_is_not_written_over": EmulatorGap(
            "fake-gcs-server", "0.1.1", UPLOAD_SESSIONS, pytest.fail.Exception
        ),
        "test_old_versions_are_listed_read_and_restored": EmulatorGap(
            "fake-gcs-server", "0.1.1", "it keeps no old versions in memory", AssertionError
        ),
    }
    # Two pages of a listing.
    count: ClassVar[int] = 10_000 if "--soak" in sys.argv else 1_100

    @pytest.fixture
    def store(self, bucket: GcsBucket) -> GcsBucket:
        return bucket

    @pytest.fixture
    def outside(self, store: GcsBucket, live: bool) -> GcsBucket | None:
        if live:
            return None  # a bucket of yours is not empty, and nothing is left in it
        return GcsBucket(bucket=store.bucket, gcp_credentials=store.gcp_credentials)


class TestBigQueryWarehouseBlock(BlockSuite):
    @pytest.fixture
    def examples(self, key: dict[str, str]) -> Sequence[BigQueryWarehouse]:
        return [
            BigQueryWarehouse(),
            BigQueryWarehouse(
                gcp_credentials=GcpCredentials(service_account_info=key),
                project="other-project",
                dataset="shop",
                location="EU",
                maximum_bytes_billed=10**9,
                labels={"team": "data"},
                priority="BATCH",
                cancel_on_kill=False,
            ),
        ]


#: It runs for hours; the tests' endpoint holds it.
ENDLESS = (
    "SELECT COUNT(*) FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
    "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE MOD(a * b, 7) = 3"
)
DROPPED = EmulatorGap(
    "bqemulator", "1.3.0", "a table dropped by a statement stays in its catalog", RowsInvalid
)


@pytest.mark.check
class TestBigQuery(DatabaseSuite):
    keeps: ClassVar[frozenset[type]] = frozenset(
        {bool, Decimal, date, datetime, AwareDatetime, list, dict}
    )
    constraints = transactions = savepoints = odd_names = standard_quotes = False
    series = "SELECT i FROM UNNEST(GENERATE_ARRAY(1, :count)) AS i"
    endless = ENDLESS
    count = 60_000
    gaps: ClassVar[Mapping[str, EmulatorGap]] = {
        "test_common_types_come_back_as_they_went": DROPPED,
        "test_declared_types_come_back_as_they_went": DROPPED,
        "test_other_columns_stay": EmulatorGap(
            "bqemulator", "1.3.0", "it loads Parquet by the columns' places", RowsInvalid
        ),
    }

    @pytest.fixture
    def database(self, warehouse: BigQueryWarehouse) -> BigQueryWarehouse:
        return warehouse

    @pytest.fixture
    def items(self, database: Database) -> Database:
        database.execute("CREATE TABLE items (id INT64, name STRING)")
        return database


CITIES = [{"name": "Oslo", "country": "Norway"}]


@pytest.mark.check
class TestTasks(TaskSuite):
    plugin = "gcp"
    known_names: ClassVar[frozenset[str]] = frozenset({"chunk_size", "size", "timeout"})

    @pytest.fixture
    def examples(
        self,
        bucket: GcsBucket,
        login: GcpCredentials,
        secrets: GcpSecrets,
        tmp_path: Path,
        warehouse: BigQueryWarehouse,
        buckets: Path,
    ) -> Mapping[str, Example]:
        (tmp_path / "cities.csv").write_bytes(b"name,country\n")
        login = login.model_copy(update={"timeout_seconds": 1.5})
        bucket = bucket.model_copy(update={"gcp_credentials": login})

        def written() -> Arguments:
            path = bucket.write_path(f"raw/{uuid4().hex}", b"name,country\n")
            return {"bucket": bucket, "blob": path}

        def new() -> Arguments:
            return {"bucket": bucket, "blob": uuid4().hex}

        def unused() -> str:
            return f"test-{uuid4().hex}"

        def kept() -> Arguments:
            name = unused()
            secrets.write(name, uuid4().hex)
            return {"secret_name": name, "gcp_credentials": secrets}

        quick = warehouse.gcp_credentials.model_copy(update={"timeout_seconds": 1.5})
        warehouse = warehouse.model_copy(update={"gcp_credentials": quick})
        dataset = str(warehouse.dataset)
        schema = [SchemaField("name", "STRING"), SchemaField("country", "STRING")]
        parquet.write_table(Table.from_pylist(CITIES), tmp_path / "cities.parquet")
        (buckets / dataset).mkdir()
        parquet.write_table(Table.from_pylist(CITIES), buckets / dataset / "cities.parquet")

        def made() -> Arguments:
            name = f"t_{uuid4().hex}"
            warehouse.create_table(name, schema)
            return {"dataset": dataset, "table": name, "gcp_credentials": warehouse}

        return {
            "bigquery_create_table": lambda: {
                "dataset": dataset,
                "table": f"t_{uuid4().hex}",
                "gcp_credentials": warehouse,
                "schema": schema,
            },
            "bigquery_insert_stream": lambda: {**made(), "records": CITIES},
            "bigquery_load_cloud_storage": lambda: {
                **made(),
                "uri": f"gs://{dataset}/cities.parquet",
            },
            "bigquery_load_file": lambda: {**made(), "path": tmp_path / "cities.parquet"},
            "bigquery_query": lambda: {"query": "SELECT 1 AS one", "gcp_credentials": warehouse},
            "cloud_storage_copy_blob": lambda: {
                "source_bucket": bucket,
                "dest_bucket": bucket,
                "source_blob": written()["blob"],
                "dest_blob": uuid4().hex,
            },
            "cloud_storage_create_bucket": lambda: {
                "bucket": f"test-{uuid4().hex[:16]}",
                "gcp_credentials": login,
            },
            "cloud_storage_download_blob_as_bytes": written,
            "cloud_storage_download_blob_to_file": lambda: {
                **written(),
                "path": str(tmp_path / uuid4().hex),
            },
            "cloud_storage_upload_blob_from_dataframe": lambda: {
                **new(),
                "df": DataFrame({"name": ["Oslo"]}),
            },
            "cloud_storage_upload_blob_from_file": lambda: {
                **new(),
                "file": str(tmp_path / "cities.csv"),
            },
            "cloud_storage_upload_blob_from_string": lambda: {**new(), "data": b"1"},
            "create_secret": lambda: {"secret_name": unused(), "gcp_credentials": secrets},
            "delete_secret": kept,
            "delete_secret_version": lambda: {**kept(), "version_id": "1"},
            "read_secret": kept,
            "update_secret": lambda: {**kept(), "secret_value": SecretStr(uuid4().hex)},
        }


def test_what_it_needs_besides_flowstone_is_heavy() -> None:
    found = set(find_sdks("flowstone-gcp"))
    assert found >= {"google", "requests"}
    assert "pydantic" not in found
