"""Programs over dbt: each call shape, on a small project with DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.services.dbt_projects import write_project

import flowstone_dbt
from flowstone.artifacts import TableArtifact
from flowstone.context import current
from flowstone.records.runs import RunQuery
from flowstone_dbt.process import end_idle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.parity.conftest import Program

FILES = {
    "seeds/items.csv": "id,name\n1,tea\n2,cake\n",
    "models/orders.sql": "select * from {{ ref('items') }}",
    "models/schema.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]",
}

#: Each starts dbt; the package's own tests run for each change.
pytestmark = pytest.mark.check


@pytest.fixture(scope="module", autouse=True)
def _processes() -> Iterator[None]:
    yield
    end_idle()


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """What the programs have in place of their own project and database."""
    folder = write_project(tmp_path / "shop", FILES)
    return {"project": str(folder), "database": str(tmp_path / "warehouse.duckdb")}


def list_nodes() -> dict[str, str]:
    """Return the states of all nodes that were recorded."""
    current.services().journal.flush()
    found = current.services().runs.runs(RunQuery())
    return {run.name: run.state.name for run in found if "unique_id" in (run.parameters or {})}


ALL = {"items": "Completed", "orders": "Completed", "unique_orders_id": "Completed"}


def test_commands_of_an_operation(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import DbtCoreOperation

        @flow
        def trigger_dbt_flow() -> list[str]:
            return DbtCoreOperation(
                commands=["dbt seed", "dbt run", "dbt test"],
                project_dir=project,
                profiles_dir=project,
            ).run()

        lines = trigger_dbt_flow()
        """,
        **names,
    )
    assert made.lines == ["items: success", "orders: success", "unique_orders_id: pass"]
    assert list_nodes() == ALL


def test_an_operation_is_saved_loaded_and_triggered(
    program: Program, names: dict[str, Any]
) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import DbtCoreOperation

        DbtCoreOperation(
            commands=["dbt build"], working_dir=project, profiles_dir=project, shell="bash"
        ).save("build")

        @flow
        def build() -> list[str]:
            with DbtCoreOperation.load("build") as operation:
                process = operation.trigger()
                process.wait_for_completion()
                return process.fetch_result()

        lines = build()
        """,
        **names,
    )
    assert "orders: success" in made.lines
    assert list_nodes() == ALL


def test_an_operation_in_an_async_flow(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        import asyncio
        from prefect import flow
        from prefect_dbt import DbtCoreOperation

        @flow
        async def build() -> list[str]:
            operation = DbtCoreOperation(
                commands=["dbt build"], project_dir=project, profiles_dir=project
            )
            async with operation:
                process = await operation.atrigger()
                await process.await_for_completion()
                return await process.afetch_result()

        lines = asyncio.run(build())
        """,
        **names,
    )
    assert "orders: success" in made.lines


def test_a_profile_of_blocks(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import (
            DbtCliProfile, DbtCoreOperation, GlobalConfigs, TargetConfigs, trigger_dbt_cli_command
        )

        TargetConfigs(
            type="duckdb", schema="main", threads=1, extras={"path": database}
        ).save("shop-target")
        DbtCliProfile(
            name="shop",
            target="dev",
            target_configs=TargetConfigs.load("shop-target"),
            global_configs=GlobalConfigs(use_colors=False, printer_width=60),
        ).save("shop")
        profile = DbtCliProfile.load("shop")

        @flow
        def build():
            result = trigger_dbt_cli_command(
                "dbt seed",
                project_dir=project,
                profiles_dir=project,
                overwrite_profiles=True,
                dbt_cli_profile=profile,
            )
            lines = DbtCoreOperation(
                commands=["dbt run"],
                project_dir=project,
                dbt_cli_profile=profile,
                overwrite_profiles=True,
            ).run()
            return result, lines

        result, lines = build()
        written = profile.get_profile()
        """,
        **names,
    )
    assert (made.result.success, made.lines) == (True, ["orders: success"])
    assert made.written["shop"]["outputs"]["dev"]["path"] == names["database"]
    assert Path(names["database"]).exists()
    assert not Path(names["project"], "shop.duckdb").exists()


def test_a_target_is_read_from_a_file(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect_dbt import TargetConfigs

        target = TargetConfigs.from_profiles_yml(
            profile_name="shop", target_name="dev", profiles_dir=project
        )
        fields = target.get_configs()
        """,
        **names,
    )
    assert made.fields["type"] == "duckdb"
    assert made.fields["path"] == "shop.duckdb"


def test_target_configs_of_each_database(program: Program) -> None:
    made = program(
        """
        from prefect_dbt import BigQueryTargetConfigs, PostgresTargetConfigs, SnowflakeTargetConfigs
        from prefect_gcp import GcpCredentials
        from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials
        from prefect_sqlalchemy import SqlAlchemyConnector

        postgres = PostgresTargetConfigs(
            schema="shop",
            credentials=SqlAlchemyConnector(connection_info="postgresql://ann@localhost/shop"),
        ).get_configs()
        snowflake = SnowflakeTargetConfigs(
            connector=SnowflakeConnector(
                credentials=SnowflakeCredentials(account="a", user="u", password="p"),
                database="SHOP", warehouse="W", schema="PUBLIC",
            ),
        ).get_configs()
        bigquery = BigQueryTargetConfigs(
            schema="shop", project="example", credentials=GcpCredentials(project="example")
        ).get_configs()
        """
    )
    kinds = [made.postgres["type"], made.snowflake["type"], made.bigquery["type"]]
    assert kinds == ["postgres", "snowflake", "bigquery"]


def test_tasks_for_each_command(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import (
            run_dbt_build, run_dbt_model, run_dbt_seed, run_dbt_snapshot,
            run_dbt_source_freshness, run_dbt_test, trigger_dbt_cli_command,
        )

        @flow
        def shop() -> list[bool]:
            where = {"project_dir": project, "profiles_dir": project}
            results = [
                trigger_dbt_cli_command("dbt parse", **where),
                run_dbt_seed(**where),
                run_dbt_model(**where, extra_command_args=["--full-refresh"]),
                run_dbt_test(**where, stream_output=False),
                run_dbt_snapshot(**where),
                run_dbt_source_freshness(**where),
                run_dbt_build(**where, create_summary_artifact=True, summary_artifact_key="all"),
            ]
            return [result.success for result in results]

        done = shop()
        """,
        **names,
    )
    assert made.done == [True] * 7
    assert list_nodes() == ALL
    assert TableArtifact.get("all") is not None


def test_tasks_have_async_twins(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        import asyncio
        from prefect import flow
        from prefect_dbt import arun_dbt_build, atrigger_dbt_cli_command

        @flow
        async def shop() -> list[bool]:
            where = {"project_dir": project, "profiles_dir": project}
            built = await arun_dbt_build(**where)
            listed = await atrigger_dbt_cli_command("dbt ls --resource-type model", **where)
            return [built.success, *listed.lines]

        done = asyncio.run(shop())
        """,
        **names,
    )
    assert made.done == [True, "shop.orders"]


def test_a_runner(program: Program, names: dict[str, Any]) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings

        @flow
        def run_dbt():
            runner = PrefectDbtRunner(
                settings=PrefectDbtSettings(project_dir=project, profiles_dir=project),
                raise_on_failure=False,
            )
            runner.invoke(["seed"])
            return runner.invoke(["build"], select="orders+", full_refresh=True)

        result = run_dbt()
        """,
        **names,
    )
    assert made.result.count() == {"success": 1, "pass": 1}
    assert list_nodes() == ALL


def test_a_runner_finds_its_project_by_variables(
    program: Program, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_PROJECT_DIR", names["project"])
    monkeypatch.setenv("DBT_PROFILES_DIR", names["project"])
    made = program(
        """
        from prefect_dbt import PrefectDbtRunner

        result = PrefectDbtRunner().invoke(["build"])
        """
    )
    assert made.result.count() == {"success": 2, "pass": 1}


def test_a_failure_is_raised_or_returned(program: Program, names: dict[str, Any]) -> None:
    write_project(Path(names["project"]), {"models/orders.sql": "select nothing"})
    made = program(
        """
        from prefect import flow
        from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings

        settings = PrefectDbtSettings(project_dir=project, profiles_dir=project)

        @flow
        def fails():
            PrefectDbtRunner(settings=settings).invoke(["run"])

        @flow
        def goes_on():
            return PrefectDbtRunner(settings=settings, raise_on_failure=False).invoke(["run"])

        state = fails(return_state=True)
        result = goes_on()
        """,
        **names,
    )
    assert made.state.is_failed()
    assert "model 'orders': " in str(made.state.message)
    assert [node.name for node in made.result.failed] == ["orders"]


#: Takes anything, as programs that were written for another runner give it.
make_runner: Callable[..., object] = flowstone_dbt.DbtRunner
#: Parameters of PrefectDbtRunner and PrefectDbtOrchestrator that are refused, with a value.
REFUSED = (
    ("client", object(), "no server"),
    ("manifest", object(), "dbt reads the project itself"),
    ("manifest_path", "target/manifest.json", "dbt reads the project itself"),
    ("execution_mode", "per_node", "One dbt process runs all nodes"),
    ("executor", object(), "DbtCloudJob"),
    ("task_runner_type", object, "threads"),
    ("concurrency", 4, "threads"),
    ("cache", object(), "state"),
    ("write_run_results", True, r"run_results\.json"),
    ("include_compiled_code", True, "DEBUG"),
    ("disable_assets", True, "no assets"),
)


@pytest.mark.parametrize(("name", "value", "reason"), REFUSED, ids=[each[0] for each in REFUSED])
def test_what_makes_no_sense_is_refused_by_name(name: str, value: object, reason: str) -> None:
    with pytest.raises(flowstone_dbt.DbtError, match=rf"does not support '{name}'.*{reason}"):
        make_runner(**{name: value})


def test_what_nobody_knows_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no parameter 'colour'"):
        make_runner(colour="red")


def test_options_of_an_orchestrator_are_options_of_the_runner(
    program: Program, names: dict[str, Any]
) -> None:
    made = program(
        """
        from prefect import flow
        from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings

        @flow
        def build():
            runner = PrefectDbtRunner(
                settings=PrefectDbtSettings(project_dir=project, profiles_dir=project),
                threads=2,
                retries=1,
                retry_delay_seconds=0,
                test_strategy="deferred",
                create_summary_artifact=True,
                raise_on_failure=True,
            )
            return runner.invoke(["build"], exclude="tag:slow", target="dev")

        result = build()
        """,
        **names,
    )
    assert made.result.count() == {"success": 2, "pass": 1}
    assert TableArtifact.get("dbt-summary") is not None
