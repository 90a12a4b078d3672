"""The standard tests, on the blocks and tasks of dbt and dbt Cloud."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from pydantic import SecretStr
from tests.services.dbt_cloud import DbtCloud, Plan

from flowstone.blocks import Block, Credentials, Job, LocalDirectory, SqliteDatabase
from flowstone_dbt import (
    BigQueryTargetConfigs,
    DbtCliProfile,
    DbtCloudCredentials,
    DbtCloudJob,
    DbtCoreOperation,
    DbtProject,
    DuckDBTargetConfigs,
    GlobalConfigs,
    PostgresTargetConfigs,
    RedshiftTargetConfigs,
    SnowflakeTargetConfigs,
    TargetConfigs,
    TriggerJobRunOptions,
)
from flowstone_gcp import BigQueryWarehouse
from flowstone_testing import (
    BlockSuite,
    CredentialsSuite,
    Example,
    JobSuite,
    PluginSuite,
    TaskSuite,
    reserve_closed_port,
)

#: Target configs keep the block of any database.
DATABASE = SqliteDatabase(path="shop.db")


class TestPlugin(PluginSuite):
    plugin = "dbt"
    package = "flowstone_dbt"
    sdks = ("dbt", "dbt_common", "httpx", "jinja2", "duckdb", "psycopg2", "snowflake")


class TestTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[TargetConfigs]:
        return [
            TargetConfigs(type="duckdb"),
            TargetConfigs(
                type="trino",
                schema_="shop",
                threads="{{ env_var('THREADS') | as_number }}",
                extras={
                    "host": "trino.example.org",
                    "password": token_hex(16),
                    "session_properties": {"api_key": token_hex(16), "a": [1, None, True]},
                    "user": "{{ env_var('TRINO_USER') }}",
                },
                allow_field_overrides=True,
            ),
        ]


class TestDuckDBTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DuckDBTargetConfigs]:
        secrets = [{"type": "s3", "key_id": "me", "secret": token_hex(16)}]
        return [
            DuckDBTargetConfigs(credentials=DATABASE),
            DuckDBTargetConfigs(credentials=DATABASE, extras={"secrets": secrets}, threads=1),
        ]


class TestPostgresTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[PostgresTargetConfigs]:
        return [
            PostgresTargetConfigs(schema_="shop", credentials=DATABASE),
            PostgresTargetConfigs(
                schema_="shop", credentials=DATABASE, extras={"password": token_hex(16)}
            ),
        ]


class TestRedshiftTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[RedshiftTargetConfigs]:
        return [
            RedshiftTargetConfigs(schema_="shop", credentials=DATABASE),
            RedshiftTargetConfigs(
                schema_="shop", credentials=DATABASE, extras={"password": token_hex(16)}
            ),
        ]


class TestSnowflakeTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[SnowflakeTargetConfigs]:
        return [
            SnowflakeTargetConfigs(connector=DATABASE),
            SnowflakeTargetConfigs(
                schema_="PUBLIC", connector=DATABASE, extras={"token": token_hex(16)}
            ),
        ]


class TestBigQueryTargetConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[BigQueryTargetConfigs]:
        return [
            BigQueryTargetConfigs(schema_="shop"),
            BigQueryTargetConfigs(
                project="example-project",
                credentials=BigQueryWarehouse(dataset="shop"),
                extras={"keyfile_json": {"private_key": token_hex(16)}},
            ),
        ]


class TestGlobalConfigs(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[GlobalConfigs]:
        return [
            GlobalConfigs(),
            GlobalConfigs(use_colors=False, printer_width=60, extras={"quiet": True}),
        ]


class TestDbtCliProfile(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DbtCliProfile]:
        return [
            DbtCliProfile(
                name="shop",
                target="dev",
                target_configs=TargetConfigs(type="trino", extras={"password": token_hex(16)}),
            ),
            DbtCliProfile(
                name="shop",
                target="prod",
                target_configs=PostgresTargetConfigs(schema_="shop", credentials=DATABASE),
                global_configs=GlobalConfigs(partial_parse=False),
            ),
        ]


class TestDbtProject(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DbtProject]:
        return [
            DbtProject(project_dir=Path("shop"), database=DATABASE, schema_="dbt", threads=2),
            DbtProject(
                git_url="https://git.example.org/shop.git",
                git_ref="main",
                git_token=SecretStr(token_hex(16)),
                subfolder="dbt",
                requirements=["dbt-core==1.10.*"],
                env={"DAY": "today"},
                secret_env={"TOKEN": SecretStr(token_hex(16))},
            ),
            DbtProject(store=LocalDirectory(basepath="shops"), profiles_dir=Path("profiles")),
        ]


class TestDbtCoreOperation(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[DbtCoreOperation]:
        return [
            DbtCoreOperation(commands=["dbt run", "dbt test"], project_dir=Path("shop")),
            DbtCoreOperation(
                commands=["dbt build"],
                env={"DAY": "today"},
                secret_env={"TOKEN": SecretStr(token_hex(16))},
                stream_output=False,
            ),
        ]


BUILT = {"dbt build": [("model.shop.orders", "success", "OK")]}
BROKEN = {"dbt build": [("model.shop.orders", "error", "Database Error: no such table")]}
COMMAND = "Invoke dbt with `dbt build`"


class Built:
    """Equal to a run that has built everything, with its artifacts."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and (other["status"], other["artifact_paths"]) == (
            10,
            ["manifest.json", "run_results.json"],
        )

    __hash__ = None  # type: ignore[assignment]


class TestDbtCloudCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        return [
            DbtCloudCredentials(),
            DbtCloudCredentials(
                api_key=token_hex(20),
                account_id=7,
                domain="https://ab123.us1.dbt.com/",
                metadata_domain="ab123.metadata.us1.dbt.com",
                timeout_seconds=5,
                max_retries=0,
            ),
        ]


class TestDbtCloudJobBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[Block]:
        login = DbtCloudCredentials(api_key=token_hex(20), account_id=7, max_retries=0)
        return [
            DbtCloudJob(dbt_cloud_credentials=login, job_id=1),
            DbtCloudJob(
                dbt_cloud_credentials=login,
                job_id=1,
                timeout_seconds=None,
                interval_seconds=0.5,
                trigger_job_run_options=TriggerJobRunOptions(
                    cause="a test", threads_override=8, steps_override=["dbt seed", "dbt run"]
                ),
            ),
        ]


class TestDbtCloudLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: DbtCloudCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, login: DbtCloudCredentials) -> Credentials:
        return login.model_copy(update={"api_key": "dbtc-a-wrong-token"})

    @pytest.fixture
    def unreachable(self, login: DbtCloudCredentials) -> Credentials:
        nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
        return login.model_copy(update={"domain": nowhere, "max_retries": 0})


class TestDbtCloudJob(JobSuite):
    wanted = Built()
    lines = (
        "step 1: Clone git repository",
        "step 1: success",
        "step 2: Create profile from connection Warehouse",
        "step 2: success",
        "step 3: Invoke dbt with `dbt deps`",
        "step 3: success",
        f"step 4: {COMMAND}",
        "step 4: success",
    )

    def make_job(self, login: DbtCloudCredentials, number: int) -> Job:
        return DbtCloudJob(
            dbt_cloud_credentials=login, job_id=number, timeout_seconds=60, interval_seconds=0.05
        )

    @pytest.fixture
    def good(self, cloud: DbtCloud, login: DbtCloudCredentials) -> Job:
        return self.make_job(login, cloud.make_job(Plan(BUILT)))

    @pytest.fixture
    def bad(self, cloud: DbtCloud, login: DbtCloudCredentials) -> Job:
        words = f"failed to connect with {cloud.token}"
        return self.make_job(login, cloud.make_job(Plan(broken=("dbt build",), logs=words)))

    @pytest.fixture
    def long(self, cloud: DbtCloud, login: DbtCloudCredentials) -> Job:
        return self.make_job(login, cloud.make_job(Plan(is_endless=True)))

    @pytest.fixture
    def alive(self, cloud: DbtCloud) -> Callable[[str], bool]:
        return lambda handle: cloud.is_alive(int(handle))


@pytest.mark.check
class TestTasks(TaskSuite):
    plugin = "dbt"

    @pytest.fixture
    def unreachable(self) -> Callable[[Block], Block | None]:
        def move(block: Block) -> Block | None:
            nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
            return block.model_copy(update={"domain": nowhere, "max_retries": 0})

        return move

    @pytest.fixture
    def examples(
        self, cloud: DbtCloud, login: DbtCloudCredentials, built: Path, tmp_path: Path
    ) -> Mapping[str, Example]:
        job = cloud.make_job(Plan(BUILT))
        run = DbtCloudJob(dbt_cloud_credentials=login, job_id=job, interval_seconds=0.05)
        done = run.run()["id"]
        by_run = {"dbt_cloud_credentials": login, "run_id": done}

        def copy() -> dict[str, Any]:
            """Return a new project for each call, as a DuckDB file has one writer."""
            shop = Path(shutil.copytree(built, tmp_path / token_hex(4)))
            return {"project_dir": shop, "profiles_dir": shop}

        return {
            "run_dbt_build": lambda: {**copy(), "summary_artifact_key": "built"},
            "run_dbt_model": lambda: {**copy(), "extra_command_args": ["--select", "nothing"]},
            "run_dbt_seed": lambda: {**copy(), "stream_output": False},
            "run_dbt_snapshot": lambda: {**copy(), "extra_command_args": ["--select", "nothing"]},
            "run_dbt_source_freshness": copy,
            "run_dbt_test": lambda: {**copy(), "extra_command_args": ["--select", "nothing"]},
            "trigger_dbt_cli_command": lambda: {**copy(), "command": "dbt ls"},
            "call_dbt_cloud_administrative_api_endpoint": lambda: {
                "dbt_cloud_credentials": login,
                "path": "/projects/",
                "http_method": "GET",
            },
            "create_dbt_cloud_job": lambda: {
                "dbt_cloud_credentials": login,
                "project_id": 1,
                "environment_id": 2,
                "name": "nightly",
            },
            "delete_dbt_cloud_job": lambda: {
                "dbt_cloud_credentials": login,
                "job_id": cloud.make_job(),
            },
            "get_dbt_cloud_job_info": lambda: {"dbt_cloud_credentials": login, "job_id": job},
            "get_dbt_cloud_run_artifact": lambda: {**by_run, "path": "run_results.json"},
            "get_dbt_cloud_run_info": lambda: {**by_run},
            "get_run_id": lambda: {"obj": {"id": done}},
            "list_dbt_cloud_run_artifacts": lambda: {**by_run},
            "trigger_dbt_cloud_job_run": lambda: {"dbt_cloud_credentials": login, "job_id": job},
        }
