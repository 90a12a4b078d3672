"""Each dbt command does the same in each way to run it."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.services.dbt_projects import write_project

from flowstone_dbt import (
    DbtCoreOperation,
    DbtError,
    DbtProject,
    DbtResult,
    DbtRunner,
    arun_dbt_build,
    arun_dbt_model,
    arun_dbt_seed,
    arun_dbt_snapshot,
    arun_dbt_source_freshness,
    arun_dbt_test,
    atrigger_dbt_cli_command,
    run_dbt_build,
    run_dbt_model,
    run_dbt_seed,
    run_dbt_snapshot,
    run_dbt_source_freshness,
    run_dbt_test,
    trigger_dbt_cli_command,
)

from .conftest import add_arrivals, list_nodes, open_database, run_in_flow

#: Files of the shop beside its models, for the commands that need them.
MORE = {
    "models/sources.yml": """
sources:
  - name: raw
    schema: main
    freshness: {error_after: {count: 1, period: day}}
    loaded_at_field: loaded
    tables: [{name: fresh}]
""",
    "macros/greet.sql": "{% macro greet(name) %}"
    '{% do run_query("create table greeted as select \'" ~ name ~ "\' as name") %}'
    "{{ log('good morning, ' ~ name, info=True) }}{% endmacro %}",
    "packages.yml": "packages:\n  - local: packages/prices\n",
    "packages/prices/dbt_project.yml": "name: prices\nversion: '1.0'\n",
    "packages/prices/macros/cents.sql": "{% macro cents(price) %}{{ price }} * 100{% endmacro %}",
}
MODELS = {"stg_items", "orders", "late", "report"}
TESTED = {"orders", "unique_orders_id", "not_null_orders_id", "prices"}
TESTS = {*TESTED - {"orders"}, "unique_stg_items_id", "not_null_stg_items_name"}


@dataclass(frozen=True)
class Command:
    """A command of dbt.

    Attributes:
        args: the command and its options.
        nodes: the names of the nodes that it runs.
        files: what it writes, in the project.
        line: a part of what it answers.
        warned: the nodes among them that end with a warning.
    """

    args: str
    nodes: frozenset[str] | set[str] = frozenset()
    files: tuple[str, ...] = ()
    line: str = ""
    warned: frozenset[str] | set[str] = frozenset()


COMMANDS = (
    Command(
        "build",
        {*MODELS, *TESTS, "items", "history"},
        ("target/run_results.json", "target/manifest.json"),
        warned={"not_null_stg_items_name"},
    ),
    Command("run", MODELS, ("target/run/shop/models/orders.sql",)),
    Command(
        "test", TESTS, ("target/run_results.json",), "prices: pass", {"not_null_stg_items_name"}
    ),
    Command("seed", {"items"}, ("target/run_results.json",), "items: success"),
    Command("snapshot", {"history"}, ("target/run_results.json",), "history: success"),
    Command(
        "compile --select orders",
        set(),  # nodes that are only compiled are no task runs
        ("target/compiled/shop/models/orders.sql",),
        "with __dbt__cte__cheap as",
    ),
    Command(
        "docs generate",
        set(),
        ("target/catalog.json", "target/index.html"),
    ),
    Command("deps", files=("dbt_packages/prices/macros/cents.sql", "package-lock.yml")),
    Command("debug"),
    Command("ls --resource-type model", line="shop.orders"),
    Command("list --resource-type seed", line="shop.items"),
    Command("show --select orders --limit 1", line="|  1 | tea  |     3 |"),
    Command("run-operation greet --args '{name: Ann}'", {"greet"}, line="greet: success"),
    Command("clone --state target", {*MODELS, "items", "history"}, ("target/run_results.json",)),
    Command("source freshness", {"raw.fresh"}, ("target/sources.json",), "raw.fresh: pass"),
    Command("parse", files=("target/manifest.json", "target/partial_parse.msgpack")),
    Command("retry", {"late", "report"}, ("target/run_results.json",), "late: success"),
    Command("clean"),
)


# -- the doors -----------------------------------------------------------------------------------


def read_lines(result: DbtResult) -> list[str]:
    """Return the value of `DbtCoreOperation.run` for a result."""
    assert result.success
    return [*result.lines, *(f"{node.name}: {node.status}" for node in result.nodes)]


def make_runner(shop: Path) -> DbtRunner:
    return DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))


def make_operation(shop: Path, args: str) -> DbtCoreOperation:
    return DbtCoreOperation(commands=[f"dbt {args}"], project_dir=shop, profiles_dir=shop)


def invoke(shop: Path, args: str) -> list[str]:
    return read_lines(make_runner(shop).invoke(shlex.split(args)))


def ainvoke(shop: Path, args: str) -> list[str]:
    return read_lines(asyncio.run(make_runner(shop).ainvoke(shlex.split(args))))


def run(shop: Path, args: str) -> list[str]:
    return make_operation(shop, args).run()


def arun(shop: Path, args: str) -> list[str]:
    return asyncio.run(make_operation(shop, args).arun())


def trigger(shop: Path, args: str) -> list[str]:
    with make_operation(shop, args) as operation:
        started = operation.trigger()
        started.wait_for_completion()
        return started.fetch_result()


def trigger_command(shop: Path, args: str) -> list[str]:
    return read_lines(trigger_dbt_cli_command(f"dbt {args}", project_dir=shop, profiles_dir=shop))


def atrigger_command(shop: Path, args: str) -> list[str]:
    async def main() -> DbtResult:
        return await atrigger_dbt_cli_command(args, project_dir=shop, profiles_dir=shop)

    return read_lines(asyncio.run(main()))


DOORS = (invoke, run, trigger_command, ainvoke, arun, trigger, atrigger_command)


# -- what they do --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def built(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with the files for all commands, built."""
    folder = Path(shutil.copytree(parsed, tmp_path_factory.mktemp("built") / "shop"))
    write_project(folder, MORE)
    add_arrivals(folder)
    with open_database(folder) as database:
        database.execute("CREATE TABLE fresh AS SELECT now()::timestamp AS loaded")
    runner = make_runner(folder)
    runner.invoke(["deps"])
    runner.invoke(["build"])
    return folder


@pytest.fixture
def stocked(built: Path, tmp_path: Path, home: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "shop"))


def prepare(shop: Path, command: Command) -> None:
    """Create what a command needs, and remove what it is going to write."""
    if command.args == "retry":
        with open_database(shop) as database:
            database.execute("ALTER TABLE arrivals RENAME TO departures")
        runner = DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop), raise_on_failure=False)
        assert runner.invoke(["run"]).count() == {"success": 2, "error": 1, "skipped": 1}
        with open_database(shop) as database:
            database.execute("ALTER TABLE departures RENAME TO arrivals")
        return
    kept = {"target/manifest.json"} if "--state" in command.args else set()
    for name in {*command.files} - kept:
        (shop / name).unlink(missing_ok=True)


def check_effects(shop: Path, command: Command) -> None:
    """Check the effects of a command that its nodes don't show."""
    for name in command.files:
        assert (shop / name).exists(), name
    if command.args == "clean":
        assert not (shop / "target").exists()
    else:
        assert [each.name for each in (shop / "target/.flowstone").iterdir()] == ["parse.lock"]
    if command.args.startswith("run-operation"):
        with open_database(shop) as database:
            assert database.execute("SELECT name FROM greeted").fetchall() == [("Ann",)]


def list_commands() -> list[object]:
    """Return each command by each door; `make test` runs all by one door, and one by all doors."""
    return [
        pytest.param(
            *(door, command),
            id=f"{door.__name__}-{command.args.partition(' -')[0]}",
            marks=[] if door is DOORS[0] or command is COMMANDS[0] else pytest.mark.check,
        )
        for door in DOORS
        for command in COMMANDS
    ]


@pytest.mark.parametrize(("door", "command"), list_commands())
def test_commands(stocked: Path, door: Callable[[Path, str], list[str]], command: Command) -> None:
    prepare(stocked, command)
    lines: list[str] = []
    root = run_in_flow(lambda: lines.extend(door(stocked, command.args)))
    assert root.state.name == "Completed", root.state.message
    found = {run.name: run.state.name for run in list_nodes(root)}
    expected = dict.fromkeys(command.nodes, "Completed")
    assert found == expected | dict.fromkeys(command.warned, "Warning")
    assert len(list_nodes(root)) == len(found)
    assert any(command.line in line for line in lines) or not command.line
    check_effects(stocked, command)


#: Tasks for one command, with their async versions.
TASKS = (
    ("build", run_dbt_build, arun_dbt_build),
    ("run", run_dbt_model, arun_dbt_model),
    ("test", run_dbt_test, arun_dbt_test),
    ("seed", run_dbt_seed, arun_dbt_seed),
    ("snapshot", run_dbt_snapshot, arun_dbt_snapshot),
    ("source freshness", run_dbt_source_freshness, arun_dbt_source_freshness),
)


@pytest.mark.parametrize(("args", "sync", "twin"), TASKS, ids=[each[0] for each in TASKS])
def test_tasks(
    stocked: Path,
    args: str,
    sync: Callable[..., DbtResult],
    twin: Callable[..., Awaitable[DbtResult]],
) -> None:
    [command] = [each for each in COMMANDS if each.args == args]

    async def main() -> DbtResult:
        return await twin(project_dir=stocked, profiles_dir=stocked)

    for call in (
        lambda: sync(project_dir=stocked, profiles_dir=stocked),
        lambda: asyncio.run(main()),
    ):
        prepare(stocked, command)
        root = run_in_flow(call)
        assert root.state.name == "Completed", root.state.message
        assert {run.name for run in list_nodes(root)} == command.nodes
        check_effects(stocked, command)


@pytest.mark.parametrize("args", [["init", "shop"], ["docs", "serve"]])
def test_commands_for_a_terminal_are_refused(stocked: Path, args: Sequence[str]) -> None:
    with pytest.raises(DbtError, match="is interactive") as caught:
        make_runner(stocked).invoke(args)
    assert args[-1] in str(caught.value)


def test_clean_removes_what_the_project_names(stocked: Path) -> None:
    project = (stocked / "dbt_project.yml").read_text()
    named = "clean-targets: [target, dbt_packages]\n"
    (stocked / "dbt_project.yml").write_text(project + named)
    assert make_runner(stocked).invoke("clean").success
    assert not (stocked / "target").exists()
    assert not (stocked / "dbt_packages").exists()


def test_commands_of_an_operation_stop_at_the_first_that_fails(stocked: Path) -> None:
    with open_database(stocked) as database:
        database.execute("DROP TABLE arrivals")
    commands = ["dbt seed", "dbt run --select late", "dbt snapshot"]
    operation = DbtCoreOperation(commands=commands, project_dir=stocked, profiles_dir=stocked)
    root = run_in_flow(operation.run)
    assert root.state.name == "Failed"
    assert "dbt run: model 'late': " in str(root.state.message)
    assert {run.name: run.state.name for run in list_nodes(root)} == {
        "items": "Completed",
        "late": "Failed",
    }
