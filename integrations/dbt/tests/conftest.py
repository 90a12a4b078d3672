"""A project for each test, parsed once for all; runs of flows on disk; and dbt Cloud."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.services.dbt_cloud import ACCOUNT, DbtCloud, serve_dbt_cloud
from tests.services.dbt_projects import write_project

from flowstone import flow
from flowstone.context import current
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.runs import Run, RunQuery
from flowstone.testing import flowstone_test_harness
from flowstone_dbt import DbtCloudCredentials, DbtProject, DbtRunner
from flowstone_dbt.process import end_idle


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture(autouse=True)
def no_login_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own dbt Cloud credentials from the tests."""
    for name in ("DBT_CLOUD_TOKEN", "DBT_CLOUD_ACCOUNT_ID", "DBT_CLOUD_HOST_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud() -> Iterator[DbtCloud]:
    with serve_dbt_cloud() as cloud:
        yield cloud


@pytest.fixture
def login(cloud: DbtCloud) -> DbtCloudCredentials:
    return DbtCloudCredentials(
        api_key=cloud.token, account_id=ACCOUNT, domain=cloud.url, timeout_seconds=10
    )


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop, parsed, so that copies need not be parsed from scratch."""
    folder = write_project(tmp_path_factory.mktemp("shop"))
    DbtRunner(DbtProject(project_dir=folder, profiles_dir=folder)).invoke(["parse"])
    return folder


@pytest.fixture(scope="session")
def built(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop, built, with all its tables."""
    folder = Path(shutil.copytree(parsed, tmp_path_factory.mktemp("built") / "shop"))
    add_arrivals(folder)
    DbtRunner(DbtProject(project_dir=folder, profiles_dir=folder)).invoke(["build"])
    return folder


@pytest.fixture
def shop(parsed: Path, tmp_path: Path, home: Path) -> Path:
    """A directory with the shop, and a home with a store on disk."""
    return Path(shutil.copytree(parsed, tmp_path / "shop"))


@pytest.fixture
def runner(shop: Path) -> DbtRunner:
    return DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop))


@pytest.fixture(scope="session", autouse=True)
def ending() -> Iterator[None]:
    yield
    end_idle()


@contextmanager
def open_database(shop: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        yield connection


def add_arrivals(shop: Path) -> None:
    """Create the table that the model `late` waits for."""
    with open_database(shop) as database:
        database.execute("CREATE TABLE IF NOT EXISTS main.arrivals AS SELECT 1 AS id")


def run_in_flow(work: Callable[[], object], **options: Any) -> Run:
    """Do work in a flow and return its run."""

    @flow(**options)
    def main() -> None:
        work()

    main(return_state=True)
    return current.services().runs.runs(RunQuery(listed=True, newest_first=True))[0]


def list_nodes(root: Run) -> list[Run]:
    """Return the task runs of nodes, in the order of recording."""
    current.services().journal.flush()
    tree = current.services().runs.runs(RunQuery(root_id=root.id))
    return [run for run in tree if "unique_id" in (run.parameters or {})]


def map_states(root: Run) -> dict[str, str]:
    """Return the name of the last state of each node, by its id."""
    return {(run.parameters or {})["unique_id"]: run.state.name for run in list_nodes(root)}


def list_lines(root: Run) -> list[str]:
    """Return the log lines of a run."""
    current.services().journal.flush()
    events = current.services().runs.events(0, root_id=root.root_id, kinds=(LOG_WRITTEN,))
    return [
        event.payload.message
        for _, event in events
        if isinstance(event.payload, LogLine) and event.run_id == root.id
    ]
