"""Errors are reported in one sentence, followed by dbt's message, and the flow fails."""

from __future__ import annotations

import json
import logging
import os
import resource
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from socket import socket

import pytest
from pydantic import SecretStr
from tests.services.dbt_projects import write_project

from flowstone.blocks import LocalDirectory
from flowstone.context import current
from flowstone.errors import BlockInvalid
from flowstone.records.events import LOG_WRITTEN, LogLine
from flowstone.records.runs import Run
from flowstone_dbt import (
    DbtCoreOperation,
    DbtError,
    DbtProject,
    DbtRunner,
    trigger_dbt_cli_command,
)
from flowstone_dbt.process import borrow_dbt, end_idle, give_back_dbt
from flowstone_duckdb import DuckDBDatabase

from .conftest import list_nodes, open_database, run_in_flow

#: The console script of dbt in this environment.
DBT = str(Path(sys.executable).with_name("dbt"))


@dataclass(frozen=True)
class Mistake:
    """A mistake, and the expected message.

    Attributes:
        name: of the test.
        words: parts of the error, in their order.
        args: the command.
        files: what is written over the shop; None for a file that is not there.
        project: fields of the project.
        options: of the command.
    """

    name: str
    words: tuple[str, ...]
    args: str = "run"
    files: Mapping[str, str | None] = field(default_factory=dict)
    project: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)


def write_target(**fields: object) -> dict[str, str | None]:
    """Return a profiles.yml with one target."""
    content = {"shop": {"target": "dev", "outputs": {"dev": fields}}}
    return {"profiles.yml": json.dumps(content)}


MISTAKES = (
    Mistake(
        "no project",
        ("dbt: there is no dbt_project.yml in '", "Set `project_dir`"),
        files={"dbt_project.yml": None},
    ),
    Mistake(
        "a broken project",
        ("dbt run: dbt_project.yml is not valid YAML: ", "Syntax error near line 3"),
        files={"dbt_project.yml": "name: shop\nversion: [1\n"},
    ),
    Mistake(
        "a project with a wrong name",
        ("dbt run: ", "'sh op' does not match", "dbt_project.yml. Fix the error"),
        files={"dbt_project.yml": "name: sh op\nprofile: shop\n"},
    ),
    Mistake(
        "a broken schema",
        ("dbt run: bad.yml is not valid YAML: ", "Syntax error near line 3"),
        files={"models/bad.yml": "models:\n  - name: [a\n"},
    ),
    Mistake(
        "a broken profile",
        ("dbt run: profiles.yml is not valid YAML: ", "line 3, column 1"),
        files={"profiles.yml": "shop: {target: dev,\n  password: canary-31415926\n"},
    ),
    Mistake(
        "no profile",
        ("dbt run: there is no profile 'shop': ", "Pass a profile of blocks, or `profiles_dir`"),
        files={"profiles.yml": "other: {target: dev, outputs: {}}\n"},
    ),
    Mistake(
        "no target",
        ("dbt run: there is no target 'prod': ", "valid target names", "dev. Set `target`"),
        options={"target": "prod"},
    ),
    Mistake(
        "an adapter of an extra",
        ("the adapter 'bigquery' is not installed: ", '`pip install "flowstone-dbt[bigquery]"`.'),
        files=write_target(type="bigquery"),
    ),
    Mistake(
        "another adapter",
        ("the adapter 'clickhouse' is not installed: ", '`pip install "dbt-clickhouse"`.'),
        files=write_target(type="clickhouse"),
    ),
    Mistake(
        "fields that are missing",
        ('profile "shop", target "dev" invalid: ', "is a required property"),
        files=write_target(type="postgres", host="localhost", password="canary-31415926"),
    ),
    Mistake(
        "a reference to nothing",
        ("dbt run: models/bad.sql, line 2, refers to 'nowhere', which does not exist: ",),
        files={"models/bad.sql": "select *\nfrom {{ ref('nowhere') }}\n"},
    ),
    Mistake(
        "a template that is not finished",
        ("Compilation Error in model bad (models/bad.sql)", "line 2"),
        files={"models/bad.sql": "select *\nfrom {{ ref('items') \n"},
    ),
    Mistake(
        "two models of one name",
        ('two models with the name "orders"', "models/more/orders.sql"),
        files={"models/more/orders.sql": "select 1 as id"},
    ),
    Mistake(
        "an unknown selector",
        ("dbt run: there is no selector 'nightly': ", "expected one of ['daily']"),
        files={"selectors.yml": "selectors:\n  - {name: daily, definition: 'tag:daily'}\n"},
        options={"selector": "nightly"},
    ),
    Mistake(
        "an unknown method",
        ("'colour' is not a valid method name",),
        options={"select": "colour:red"},
    ),
    Mistake(
        "a selection of nothing, where warnings are errors",
        ("The selection criterion 'nothing' does not match any enabled nodes",),
        args="run --warn-error",
        options={"select": "nothing"},
    ),
    Mistake(
        "no manifest to compare with",
        ("there is no manifest to compare with: ", "Set `state`"),
        options={"select": "state:modified"},
    ),
    Mistake(
        "packages that are not there",
        ("dbt deps: ", "nowhere/dbt_project.yml"),  # they are installed before anything runs
        files={"packages.yml": "packages:\n  - local: nowhere\n"},
    ),
    Mistake(
        "a variable that is missing",
        ("an environment variable is not set: ", "'NO_SUCH_VARIABLE'", "Set it"),
        files={"models/bad.sql": "select {{ env_var('NO_SUCH_VARIABLE') }}"},
    ),
    Mistake(
        "a file that can't be there",
        ("the file of the database can't be opened: ", "Check the path"),
        files=write_target(type="duckdb", path="/nonexistent/shop.duckdb"),
    ),
    Mistake("an unknown option", ("dbt run: dbt has no such option: ", "--nope"), "run --nope"),
    Mistake("an unknown command", ("dbt rnu: dbt has no such command: ", "'rnu'"), "rnu"),
    Mistake("threads that are no number", ("'many' is not a valid integer",), "run --threads many"),
    Mistake("vars that are no YAML", ("is not valid YAML",), "run --vars '{a: '"),
    Mistake(
        "vars that are no JSON",
        ("'vars' can't be written as JSON: ", "Pass strings"),
        options={"vars": {"price": object()}},
    ),
    Mistake(
        "an executable that is missing",
        ("'/nonexistent/dbt' can't be started: ", "Check that it is installed"),
        project={"executable": "/nonexistent/dbt"},
    ),
    Mistake(
        "an executable that is another program",
        ("'/bin/true' did not write dbt's JSON log. Set `executable`",),
        project={"executable": "/bin/true"},
    ),
    Mistake(
        "an option that the executable does not know",
        ("dbt run: dbt has no such option: ", "--nope"),
        args="run --nope",
        project={"executable": DBT},
    ),
)


def read_log(root: Run) -> list[tuple[int, str]]:
    current.services().journal.flush()
    events = current.services().runs.events(0, root_id=root.root_id, kinds=(LOG_WRITTEN,))
    return [
        (event.payload.level, event.payload.message)
        for _, event in events
        if isinstance(event.payload, LogLine)
    ]


def assert_whole(shop: Path) -> None:
    """Check that a command leaves nothing incomplete."""
    target = shop / "target"
    for file in target.rglob("*.json"):
        json.loads(file.read_text())
    if (target / ".flowstone").exists():
        assert [each.name for each in (target / ".flowstone").iterdir()] == ["parse.lock"]


def fail(shop: Path, work: Callable[[], object]) -> str:
    """Do work in a flow that fails, and return the reason."""
    root = run_in_flow(work)
    assert root.state.name == "Failed"
    assert_whole(shop)
    message = str(root.state.message)
    for text in (message, *(line for _, line in read_log(root))):
        assert "canary" not in text
    assert "\n" not in message
    return message


def assert_in_order(words: tuple[str, ...], message: str) -> None:
    rest = message
    for each in words:
        assert each in rest, message
        rest = rest.partition(each)[2]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.name.replace(" ", "-"))
@pytest.mark.check
def test_mistakes(shop: Path, mistake: Mistake) -> None:
    for name, content in mistake.files.items():
        if content is None:
            (shop / name).unlink()
        else:
            (shop / name).parent.mkdir(parents=True, exist_ok=True)
            (shop / name).write_text(content)
    project = DbtProject.model_validate(
        {"project_dir": shop, "profiles_dir": shop, **mistake.project}
    )
    args = shlex.split(mistake.args)
    message = fail(shop, lambda: DbtRunner(project).invoke(args, **mistake.options))
    assert_in_order(mistake.words, message)


@pytest.mark.parametrize("name", ["dbt_project.yml", "profiles.yml"])
def test_other_doors_say_the_same(shop: Path, name: str) -> None:
    (shop / name).unlink()
    said = {
        fail(shop, work).replace("dbt: ", "dbt run: ")
        for work in (
            DbtCoreOperation(commands=["dbt run"], project_dir=shop, profiles_dir=shop).run,
            lambda: trigger_dbt_cli_command("dbt run", project_dir=shop, profiles_dir=shop),
            lambda: DbtRunner(DbtProject(project_dir=shop, profiles_dir=shop)).invoke("run"),
        )
    }
    assert len(said) == 1


def test_a_model_that_fails_is_named_with_its_file(shop: Path, runner: DbtRunner) -> None:
    write_project(shop, {"models/bad.sql": "select {{ var('price') }}"})
    message = fail(shop, lambda: runner.invoke("run", select="bad"))
    words = ("dbt run: model 'bad': ", "models/bad.sql", "Required var 'price' not found")
    assert_in_order(words, message)


def test_a_selection_of_nothing_warns(shop: Path, runner: DbtRunner) -> None:
    root = run_in_flow(lambda: runner.invoke("run", select="nothing"))
    assert root.state.name == "Completed"
    assert list_nodes(root) == []
    warnings = [line for level, line in read_log(root) if level == logging.WARNING]
    assert any("'nothing' does not match any enabled nodes" in line for line in warnings)


def test_a_database_that_is_locked(shop: Path, runner: DbtRunner) -> None:
    with open_database(shop):
        message = fail(shop, lambda: runner.invoke("seed"))
    assert_in_order(("the database is locked: ", str(os.getpid()), "Close the other"), message)
    assert runner.invoke("seed").success


def test_a_database_that_is_away(shop: Path, runner: DbtRunner) -> None:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    target = write_target(
        type="postgres", host="127.0.0.1", port=port, user="ann", password=f"canary-{token_hex(8)}",
        dbname="shop", schema="shop", threads=1,
    )  # fmt: skip
    write_project(shop, {name: str(text) for name, text in target.items()})
    message = fail(shop, lambda: runner.invoke("run"))
    words = ("the database can't be reached: ", f"port {port} failed", "Check that it runs")
    assert_in_order(words, message)


def test_a_target_folder_that_is_a_file(shop: Path) -> None:
    (shop / "artifacts").write_text("mine")
    project = DbtProject(project_dir=shop, profiles_dir=shop, target_path="artifacts")
    message = fail(shop, lambda: DbtRunner(project).invoke("run"))
    assert_in_order((f"the target folder {str(shop / 'artifacts')!r} can't be written: ",), message)
    assert (shop / "artifacts").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_target_folder_that_may_not_be_written(shop: Path, runner: DbtRunner) -> None:
    (shop / "target").rename(shop / "old")
    shop.chmod(0o500)
    try:
        message = fail(shop, lambda: runner.invoke("run"))
    finally:
        shop.chmod(0o700)
    assert_in_order(("can't be written: Permission denied", "Check its permissions"), message)


@pytest.mark.check
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of a process are Linux's")
def test_a_disk_that_is_full(shop: Path, runner: DbtRunner) -> None:
    """A limit on the size of files has the same effect as a full disk."""
    before = (shop / "target/manifest.json").read_bytes()
    end_idle()
    warm = borrow_dbt()
    resource.prlimit(warm.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    give_back_dbt(warm)
    try:
        write_project(shop, {"models/more.sql": "select 1 as id"})
        message = fail(shop, lambda: runner.invoke("run", select="more"))
    finally:
        end_idle()
    assert_in_order(("the disk is full, or the file is too large: ", "Free some space"), message)
    assert (shop / "target/manifest.json").read_bytes() == before
    assert runner.invoke("run", select="more").success


CONTRADICTIONS: tuple[tuple[Callable[[], DbtProject], str], ...] = (
    (
        lambda: DbtProject(project_dir=Path(), git_url="https://example.org/a.git"),
        "set one of project_dir, store and git_url",
    ),
    (
        lambda: DbtProject(project_dir=Path(), store=LocalDirectory(basepath=".")),
        "set one of project_dir, store and git_url",
    ),
    (
        lambda: DbtProject(profiles_dir=Path(), database=DuckDBDatabase(path="shop.duckdb")),
        "set one of database, profile and profiles_dir",
    ),
)


@pytest.mark.parametrize(("make", "words"), CONTRADICTIONS)
def test_contradictions_in_a_project(make: Callable[[], DbtProject], words: str) -> None:
    with pytest.raises(BlockInvalid, match=words):
        make()


def test_secrets_in_vars_are_refused(runner: DbtRunner) -> None:
    canary = SecretStr(f"canary-{token_hex(8)}")
    with pytest.raises(DbtError, match="DBT_ENV_SECRET_<NAME>") as caught:
        runner.invoke("run", vars={"token": canary})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "command",
    ["", "dbt", "git status", "dbt run && dbt test", "dbt run | tee log"],
)
def test_commands_that_are_none(command: str) -> None:
    with pytest.raises(BlockInvalid, match=r"command|shell"):
        DbtCoreOperation(commands=[command])
