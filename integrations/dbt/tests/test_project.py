"""The location of a project, its database connection, and cleaning up."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from tests.services.dbt_projects import write_project
from tests.services.git_http import serve_git
from tests.services.repositories import git
from tests.services.s3 import S3

from flowstone import flow, task
from flowstone.blocks import LocalDirectory
from flowstone.context import current
from flowstone.records.runs import Run, RunQuery
from flowstone.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner
from flowstone_aws import S3Bucket
from flowstone_dbt import DbtError, DbtNodesFailed, DbtProject, DbtRunner
from flowstone_duckdb import DuckDBDatabase
from flowstone_sqlalchemy import SqlAlchemyConnector

from .conftest import add_arrivals, list_nodes, map_states, run_in_flow

#: The console script of dbt in this environment.
DBT = str(Path(sys.executable).with_name("dbt"))
#: The command that lists the arguments of all processes.
PS = ["ps", "-ewwo", "args"]
SEEDED = {"seed.shop.items": "Completed"}


def seed(project: DbtProject) -> dict[str, str]:
    """Seed a project in a flow; return the states of its nodes."""
    root = run_in_flow(lambda: DbtRunner(project).invoke("seed"))
    assert root.state.name == "Completed", root.state.message
    return map_states(root)


def count_items(path: Path) -> int:
    with DuckDBDatabase(path=str(path)) as database:
        [(count,)] = database.fetch_all("SELECT count(*) FROM items")
    return int(count)


# -- location ------------------------------------------------------------------------------------


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBDatabase:
    return DuckDBDatabase(path=str(tmp_path / "warehouse.duckdb"))


@pytest.fixture
def sources(parsed: Path, tmp_path: Path, home: Path) -> Path:
    """The files of the shop, before anything has run."""
    kept = shutil.ignore_patterns("target", "logs", "*.duckdb")
    return Path(shutil.copytree(parsed, tmp_path / "sources", ignore=kept))


def test_a_project_in_this_folder(
    shop: Path, warehouse: DuckDBDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    assert seed(DbtProject(database=warehouse)) == SEEDED


def test_a_project_in_a_subfolder(shop: Path, tmp_path: Path, warehouse: DuckDBDatabase) -> None:
    project = DbtProject(project_dir=tmp_path, subfolder="shop", database=warehouse)
    assert seed(project) == SEEDED


def test_a_project_in_a_store(sources: Path, tmp_path: Path, warehouse: DuckDBDatabase) -> None:
    store = LocalDirectory(basepath=str(sources.parent))
    DbtProject(store=store, subfolder="sources", database=warehouse).save("shop")
    assert seed(DbtProject.load("shop")) == SEEDED
    assert not (sources / "target").exists()
    assert count_items(tmp_path / "warehouse.duckdb") == 3


@pytest.mark.slow
def test_a_project_in_s3(
    sources: Path, warehouse: DuckDBDatabase, moto: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"dbt-{token_hex(6)}"
    moto.make_bucket(bucket)
    store = S3Bucket(bucket_name=bucket)
    store.put_directory(sources, "analytics/shop")
    assert seed(DbtProject(store=store, subfolder="analytics/shop", database=warehouse)) == SEEDED


@pytest.fixture
def repository(sources: Path, tmp_path: Path) -> Path:
    """A bare repository with the shop, and a branch in which it has one item."""
    git(sources, "init", "--quiet", "--initial-branch=main")
    git(sources, "add", ".")
    git(sources, "commit", "--quiet", "--message=The shop")
    git(sources, "checkout", "--quiet", "-b", "small")
    (sources / "seeds/items.csv").write_text("id,name,price\n1,tea,3\n")
    git(sources, "commit", "--quiet", "--all", "--message=One item")
    git(sources, "checkout", "--quiet", "main")
    (tmp_path / "served").mkdir()
    git(tmp_path, "clone", "--quiet", "--bare", str(sources), "served/shop.git")
    return tmp_path / "served/shop.git"


def test_a_project_in_a_repository(
    repository: Path, tmp_path: Path, warehouse: DuckDBDatabase
) -> None:
    address = repository.as_uri()
    assert seed(DbtProject(git_url=address, database=warehouse)) == SEEDED
    assert count_items(tmp_path / "warehouse.duckdb") == 3
    assert seed(DbtProject(git_url=address, git_ref="small", database=warehouse)) == SEEDED
    assert count_items(tmp_path / "warehouse.duckdb") == 1


def test_a_repository_that_asks_for_a_token(repository: Path, warehouse: DuckDBDatabase) -> None:
    token = f"canary-{token_hex(8)}"
    with serve_git(repository.parent, token) as url:
        address = f"{url}/shop.git"
        project = DbtProject(git_url=address, git_token=token, database=warehouse)
        assert seed(project) == SEEDED
        wrong = DbtProject(git_url=address, git_token=token[::-1], database=warehouse)
        with pytest.raises(DbtError, match="the repository can't be cloned: ") as caught:
            DbtRunner(wrong).invoke("seed")
        assert token[::-1] not in str(caught.value)


def test_a_branch_that_is_not_there(repository: Path, warehouse: DuckDBDatabase) -> None:
    project = DbtProject(git_url=repository.as_uri(), git_ref="nowhere", database=warehouse)
    with pytest.raises(DbtError, match=r"nowhere.*Check git_url, git_ref and git_token"):
        DbtRunner(project).invoke("seed")


def test_a_project_that_a_repository_does_not_have(
    repository: Path, warehouse: DuckDBDatabase
) -> None:
    project = DbtProject(git_url=repository.as_uri(), subfolder="models", database=warehouse)
    with pytest.raises(DbtError, match=r"there is no dbt_project\.yml in"):
        DbtRunner(project).invoke("seed")


# -- which dbt runs ------------------------------------------------------------------------------


def test_an_executable_gives_the_same_states(shop: Path, runner: DbtRunner) -> None:
    """It is used only through its JSON log."""
    expected = map_states(run_in_flow(lambda: runner.invoke("build")))
    assert set(expected.values()) == {"Completed", "Warning", "Failed", "Skipped"}
    project = DbtProject(project_dir=shop, profiles_dir=shop, executable=DBT)
    root = run_in_flow(lambda: DbtRunner(project).invoke("build"))
    assert map_states(root) == expected
    assert root.state.name == "Failed"
    assert "model 'late': " in str(root.state.message)


@pytest.mark.check
@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.10.0", "1.10.*"])
def test_an_environment_of_its_own(
    shop: Path, runner: DbtRunner, version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The lowest supported version; the newest is in uv.lock."""
    expected = map_states(run_in_flow(lambda: runner.invoke("build")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    requirements = [f"dbt-core=={version}", "dbt-duckdb>=1.10", "duckdb<1.5"]
    (shop / "shop.duckdb").unlink()  # another version of DuckDB wrote it
    shutil.rmtree(shop / "target")
    project = DbtProject(project_dir=shop, profiles_dir=shop, requirements=requirements)
    results: list[dict[str, int]] = []

    def work() -> None:
        with pytest.raises(DbtNodesFailed):
            DbtRunner(project).invoke("build")
        # This environment's DuckDB can't be queried for the missing table.
        write_project(shop, {"models/late.sql": "select * from {{ ref('stg_items') }}"})
        results.append(DbtRunner(project).invoke("build").count())

    root = run_in_flow(work)
    assert root.state.name == "Completed", root.state.message
    first = {run.name: run.state.name for run in reversed(list_nodes(root))}
    assert first.keys() == {each.split(".")[2] for each in expected}
    assert results[0]["success"] == 6


# -- its profile ---------------------------------------------------------------------------------


def test_a_profile_of_blocks_goes_before_any_file(
    shop: Path, tmp_path: Path, warehouse: DuckDBDatabase
) -> None:
    (shop / "shop.duckdb").unlink(missing_ok=True)
    other = tmp_path / "other.duckdb"
    for name in ("profiles.yml", "../.dbt/profiles.yml"):
        (shop / name).parent.mkdir(exist_ok=True)
        outputs = f"{{default: {{type: duckdb, path: {other}}}}}"
        (shop / name).write_text(f"shop: {{target: default, outputs: {outputs}}}\n")
    assert seed(DbtProject(project_dir=shop, database=warehouse)) == SEEDED
    assert not other.exists()
    assert count_items(tmp_path / "warehouse.duckdb") == 3


def test_the_block_of_a_database_works_before_and_after(shop: Path, tmp_path: Path) -> None:
    with DuckDBDatabase(path=str(tmp_path / "warehouse.duckdb")) as database:
        database.execute("CREATE TABLE arrivals AS SELECT 1 AS id")

        @flow
        def main() -> list[object]:
            assert (
                DbtRunner(DbtProject(project_dir=shop, database=database)).invoke("build").success
            )
            return list(database.fetch_all("SELECT id FROM report ORDER BY id"))

        assert len(main()) == 3


@contextmanager
def watch_processes(folder: Path) -> Iterator[tuple[list[str], set[tuple[str, int]]]]:
    """Return the arguments of all processes, and the modes of profiles, while dbt runs."""
    arguments: list[str] = []
    modes: set[tuple[str, int]] = set()
    end = threading.Event()

    def look() -> None:
        while not end.is_set():
            done = subprocess.run(
                ["ps", "-ewwo", "args"], capture_output=True, text=True, check=True
            )
            arguments.extend(done.stdout.splitlines())
            for path in (*folder.glob("flowstone-dbt-*"), *folder.glob("flowstone-dbt-*/*.yml")):
                try:
                    modes.add((path.suffix, stat.S_IMODE(path.stat().st_mode)))
                except FileNotFoundError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield arguments, modes
    finally:
        end.set()
        watcher.join()


def tell_all(root: Run) -> str:
    """Return everything that was recorded of a run."""
    services = current.services()
    services.journal.flush()
    runs = services.runs.runs(RunQuery(root_id=root.id))
    events = services.runs.events(0, root_id=root.id)
    return "\n".join(map(repr, [*runs, *events]))


@pytest.mark.slow
def test_a_secret_is_nowhere(
    shop: Path, postgres: str, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = f"canary-{token_hex(12)}"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    url = make_url(postgres).set(password=canary).render_as_string(hide_password=False)
    schema = f"shop_{token_hex(4)}"
    project = DbtProject(
        project_dir=shop, database=SqlAlchemyConnector(connection_info=url), schema_=schema
    )
    runner = DbtRunner(project, create_summary_artifact=True)
    with watch_processes(temporary) as (arguments, modes):
        root = run_in_flow(lambda: runner.invoke(["--debug", "build"]), log_prints=True)
    assert root.state.name == "Failed"
    assert "model 'late': " in str(root.state.message)
    assert map_states(root)["model.shop.orders"] == "Completed"
    assert modes == {("", 0o700), (".yml", 0o600)}
    assert list(temporary.glob("flowstone-dbt-*")) == []
    assert any("child.py" in each for each in arguments)
    assert not any(canary in each for each in arguments)
    assert canary not in tell_all(root)
    for folder in (shop, home, temporary):
        for file in folder.rglob("*"):
            assert not file.is_file() or canary.encode() not in file.read_bytes(), file


# -- packages, and concurrent projects -----------------------------------------------------------


def test_packages_are_installed_once_at_a_time(shop: Path, runner: DbtRunner) -> None:
    write_project(
        shop,
        {
            "packages.yml": "packages:\n  - local: packages/prices\n",
            "packages/prices/dbt_project.yml": "name: prices\nversion: '1.0'\n",
            "packages/prices/macros/cents.sql": "{% macro cents() %}100{% endmacro %}",
            "models/dear.sql": "select {{ prices.cents() }} as cents",
        },
    )

    @task
    def install() -> bool:
        return runner.invoke("deps").success

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def main() -> list[bool]:
        return [each.result() for each in [install.submit() for _ in range(3)]]

    assert main() == [True] * 3
    assert runner.invoke("run", select="dear").count() == {"success": 1}


def build(folder: str) -> dict[str, int]:
    """Build a project; a function of the module, so that processes can run it."""
    project = DbtProject(project_dir=Path(folder), profiles_dir=Path(folder))
    return DbtRunner(project, raise_on_failure=False).invoke("build").count()


@pytest.mark.parametrize(
    "runner",
    [ThreadPoolTaskRunner(max_workers=3), ProcessPoolTaskRunner(max_workers=2)],
    ids=["threads", "processes"],
)
@pytest.mark.check
def test_projects_in_parallel(parsed: Path, home: Path, tmp_path: Path, runner: TaskRunner) -> None:
    folders = [Path(shutil.copytree(parsed, tmp_path / name / "shop")) for name in ("one", "two")]
    add_arrivals(folders[0])
    one_more = f"{(folders[0] / 'seeds/items.csv').read_text()}4,jam,4\n"
    (folders[0] / "seeds/items.csv").write_text(one_more)

    @flow(task_runner=runner)
    def main() -> list[dict[str, int]]:
        running = [task(build).submit(str(folder)) for folder in folders]
        return [each.result() for each in running]

    well, ill = main()
    assert "error" not in well
    assert (ill["error"], ill["skipped"]) == (1, 1)
    for folder, count, statuses in zip(folders, (4, 3), (well, ill), strict=True):
        assert count_items(folder / "shop.duckdb") == count
        results = json.loads((folder / "target/run_results.json").read_text())["results"]
        written = [each["status"] for each in results]
        assert {each: written.count(each) for each in written} == statuses


def test_two_commands_of_one_project_keep_their_artifacts_apart(shop: Path) -> None:
    databases = [DuckDBDatabase(path=str(shop / f"{name}.duckdb")) for name in ("one", "two")]

    @task
    def seed_one(database: DuckDBDatabase) -> bool:
        return DbtRunner(DbtProject(project_dir=shop, database=database)).invoke("seed").success

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def main() -> list[bool]:
        return [each.result() for each in [seed_one.submit(each) for each in databases]]

    assert main() == [True, True]
    json.loads((shop / "target/run_results.json").read_text())
    assert [each.name for each in (shop / "target/.flowstone").iterdir()] == ["parse.lock"]


def test_secret_variables_reach_dbt_and_no_output(shop: Path, home: Path) -> None:
    canary = f"canary-{token_hex(8)}"
    tell = "{% macro tell() %}{{ print(env_var('TOLD')) }}{% endmacro %}"
    write_project(shop, {"macros/tell.sql": tell})
    secret = {"TOLD": SecretStr(canary)}
    DbtProject(project_dir=shop, profiles_dir=shop, secret_env=secret).save("told")
    project = DbtProject.load("told")
    root = run_in_flow(lambda: DbtRunner(project).invoke(["run-operation", "tell"]))
    assert root.state.name == "Completed", root.state.message
    current.services().journal.flush()
    events = current.services().runs.events(0, root_id=root.id)
    assert any("********" in str(event.payload) for _, event in events)
    assert canary not in str(events)
    files = [path for path in home.rglob("*") if path.is_file()]
    assert not any(canary.encode() in path.read_bytes() for path in files)
