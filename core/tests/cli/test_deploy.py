from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments.documents import load_deployment, pause_deployment
from flowstone.workers import create_work_pool

if TYPE_CHECKING:
    from .conftest import InProcess

FLOWS = '''
import not_installed_anywhere
from flowstone import flow

@flow(name="load it")
def etl(table: str, rows: int = 100):
    """Load a table."""

@flow
def other(): ...
'''
FILE = """\
prefect-version: 3.4.0
name: project
build: null
deployments:
- name: nightly
  entrypoint: flows/etl.py:etl
  parameters: {table: users}
  tags: [b, a]
  schedules:
  - cron: "0 3 * * *"
    timezone: Europe/Berlin
  - interval: 3600
    slug: hourly
    parameters: {rows: 5}
  work_pool:
    name: p
    work_queue_name: null
    job_variables: {env: {A: "1"}}
  concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
- name: x
  entrypoint: flows/etl.py:other
  work_pool: {name: p}
"""


@pytest.fixture(autouse=True)
def _files(cli: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("flows").mkdir()
    Path("flows/etl.py").write_text(FLOWS)
    Path("flowstone.yaml").write_text(FILE)
    create_work_pool("p")


def edit(was: str, now: str) -> None:
    text = Path("flowstone.yaml").read_text()
    assert was in text
    Path("flowstone.yaml").write_text(text.replace(was, now))


def test_a_file_is_deployed(cli: InProcess) -> None:
    assert cli("deploy", "--all").out == "created  load it/nightly\ncreated  other/x\n2 created.\n"
    made = load_deployment("nightly")
    assert made.entrypoint == "flows/etl.py:etl"
    assert made.code is not None
    assert made.code.source == str(Path.cwd())
    assert (made.parameters, made.tags) == ({"table": "users"}, ("a", "b"))
    assert (made.work_pool_name, made.job_variables) == ("p", {"env": {"A": "1"}})
    assert (made.concurrency_limit, made.collision_strategy) == (1, "CANCEL_NEW")
    assert [str(each) for each in made.schedules] == [
        "cron '0 3 * * *' in Europe/Berlin",
        "every 1h",
    ]
    assert made.description == "Load a table."
    assert cli("deploy", "--all").out.endswith("2 unchanged.\n")


def test_a_plan_changes_nothing(cli: InProcess) -> None:
    assert cli("deploy", "--all", "--plan").out.endswith("2 to create.\n")
    assert cli("deployment", "ls", "--json").json == []
    cli("deploy", "--all")
    edit("users", "orders")
    edit('"0 3', '"0 4')
    told = cli("deploy", "nightly", "--plan").out
    assert 'parameters: {"table": "users"} → {"table": "orders"}' in told
    assert '"cron": "0 4 * * *"' in told
    assert told.endswith("1 to change.\n")
    assert load_deployment("nightly").parameters == {"table": "users"}
    (step,) = cli("deploy", "nightly", "--json").json
    assert (step["name"], step["action"]) == ("load it/nightly", "change")
    assert {each["path"] for each in step["changes"]} == {"parameters", "schedules"}
    assert load_deployment("nightly").parameters == {"table": "orders"}


def test_what_an_operator_says_stays(cli: InProcess) -> None:
    cli("deploy", "--all")
    paused = pause_deployment("nightly")
    edit("users", "orders")
    cli("deploy", "--all")
    assert load_deployment("nightly").paused_by_operator is True
    assert load_deployment("nightly").id == paused.id


def test_what_the_file_declares_no_longer_is_pruned(cli: InProcess) -> None:
    cli("deploy", "--all")
    edit(FILE[FILE.index("- name: x") :], "")
    assert cli("deploy").out == "unchanged  load it/nightly\n1 unchanged.\n"
    assert "to delete" in cli("deploy", "--prune", "--plan").out
    assert "deleted  other/x" in cli("deploy", "--prune").out
    assert [each["name"] for each in cli("deployment", "ls", "--json").json] == ["load it/nightly"]


def test_one_of_several_has_to_be_named(cli: InProcess) -> None:
    done = cli("deploy")
    assert (done.code, "declares 2 deployments: load it/nightly, other/x" in done.err) == (2, True)
    assert "Did you mean" in cli("deploy", "nigtly").err
    assert cli("deploy", "--all", "x").code == 2
    assert cli("deploy", "x").out == "created  other/x\n1 created.\n"


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("  tags:", "  tag:", "flowstone.yaml:8 deployments.0.tag: there is no such key"),
        ("  tags: [b, a]", "  tags: b", "flowstone.yaml:8 deployments.0.tags: write a list"),
        ("build: null", "build: [x]", "flowstone.yaml:3 build: there are no steps"),
        ("  tags: [b, a]", "  triggers: [x]", "deployments.0.triggers: there are no triggers"),
        ("table: users", "tabel: users", "Did you mean 'table'"),
        ("table: users", "table: 1", "table: Input should be a valid string"),
        ('"0 3 * * *"', '"0 99 * * *"', "'99' is not a valid hour"),
        ("- interval: 3600", "- intervall: 3600", "has not one of cron, interval, rrule"),
        ("slug: hourly", "slag: hourly", "slag"),
        ('A: "1"', "A: 1", "env.A: Input should be a valid string"),
        ("    name: p\n", "    name: q\n", "there is no work pool named 'q'"),
        ("work_queue_name", "queue_name", "there is no key 'queue_name'"),
        ("collision_strategy: CANCEL_NEW", "grace_period_seconds: 60", "grace_period_seconds"),
        ("{limit: 1, ", "{", "concurrency_limit=0 is too low"),
        ("  work_pool: {name: p}", "  work_pool: null", "it has no work pool"),
        ("etl.py:other", "etl.py:othr", "Did you mean 'other'"),
        ("name: x", "name: a/b", "leave out /"),
        ("deployments:", "deployment:", "there is no such section"),
    ],
)
def test_bad_files_are_refused_and_nothing_is_written(
    cli: InProcess, was: str, now: str, told: str
) -> None:
    edit(was, now)
    done = cli("deploy", "--all")
    assert done.code == 1
    assert told in done.err
    assert cli("deployment", "ls", "--json").json == []


def test_a_file_that_is_not_there_is_told(cli: InProcess) -> None:
    assert "none.yaml: it can't be read" in cli("deploy", "--file", "none.yaml").err
