from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.services.repositories import git

from flowstone.blocks import LocalDirectory
from flowstone.deployments.documents import load_deployment, pause_deployment
from flowstone.records.runs import Environment
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


def test_the_code_may_come_from_elsewhere(cli: InProcess, tmp_path: Path) -> None:
    git(Path("flows"), "init", "--quiet")
    git(Path("flows"), "add", ".")
    git(Path("flows"), "commit", "--quiet", "-m", "one")
    commit = git(Path("flows"), "rev-parse", "HEAD")
    LocalDirectory(basepath=tmp_path / "flows").save("code")
    (Path("flows") / "etl.py").write_text("")  # not committed
    edit("build: null", "pull:\n- prefect.deployments.steps.git_clone: {id: c, repository: flows}")
    edit("entrypoint: flows/", "entrypoint: ")
    step = "pull_with_block: {block_document_name: code, block_type_slug: local-directory}"
    edit("entrypoint: etl.py:other", f"entrypoint: etl.py\n  pull: [{{{step}}}]")
    done = cli("deploy", "--all")
    assert "it has no flow" in done.err  # of the store
    (Path("flows") / "etl.py").write_text("from flowstone import flow\n\n@flow\ndef other(): ...\n")
    assert cli("deploy", "--all").out.endswith("2 created.\n")
    cloned, stored = load_deployment("nightly").code, load_deployment("x").code
    assert cloned is not None
    assert cloned.source == f"{tmp_path / 'flows'} at {commit}"
    assert stored is not None
    assert stored.source == "local-directory/code"


def test_steps_say_where_runs_start_and_what_they_need(cli: InProcess, tmp_path: Path) -> None:
    Path("flows/req.txt").write_text("x==1\n")
    steps = (
        "  pull:\n  - set_working_directory: {directory: data}\n"
        "  - pip_install_requirements: {requirements_file: req.txt, directory: flows}"
    )
    edit("  tags: [b, a]", steps)
    edit("  work_pool: {name: p}", "  work_pool: {name: p}\n  requirements: [pandas]")
    assert cli("deploy", "--all").code == 0
    nightly = load_deployment("nightly")
    assert nightly.job_variables == {"env": {"A": "1"}, "working_dir": str(tmp_path / "data")}
    assert nightly.environment == Environment(file="flows/req.txt")
    assert load_deployment("x").environment == Environment(("pandas",))


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
        ("build: null", "build: [x]", "flowstone.yaml:3 build: nothing is built"),
        ("  tags: [b, a]", "  triggers: [x]", "deployments.0.triggers: there are no triggers"),
        ("table: users", "tabel: users", "Did you mean 'table'"),
        ("table: users", "table: 1", "table: Input should be a valid string"),
        ('"0 3 * * *"', '"0 99 * * *"', "'99' is not a valid hour"),
        ("- interval: 3600", "- intervall: 3600", "has none of cron, interval, rrule"),
        ("slug: hourly", "slag: hourly", "slag"),
        ('A: "1"', "A: 1", "env.A: Input should be a valid string"),
        ("    name: p\n", "    name: q\n", "there is no work pool named 'q'"),
        ("work_queue_name", "queue_name", "there is no key 'queue_name'"),
        ("collision_strategy: CANCEL_NEW", "grace_period_seconds: 60", "grace_period_seconds"),
        ("{limit: 1, ", "{", "concurrency_limit=0 is too low"),
        ("  work_pool: {name: p}", "  work_pool: null", "it has no work pool"),
        ("etl.py:other", "etl.py:othr", "Did you mean 'other'"),
        ("name: x", "name: a/b", "omit /"),
        ("deployments:", "deployment:", "there is no such section"),
        ("  tags: [b, a]", "  requirements: 1", "write a list of requirements, or the name"),
        ("  tags: [b, a]", "  requirements: [-r x]", "'-r x' is an option, not a requirement"),
        ("  tags: [b, a]", "  requirements: x.txt", "the code has no file 'x.txt'"),
        ("  tags: [b, a]", "  pull: git_clone", "pull: it is not a list of steps"),
        ("  tags: [b, a]", "  pull: [git_clone]", "'git_clone' is not a step"),
        ("  tags: [b, a]", "  pull: [{git_clon: {}}]", "'git_clon': it is not known. Did you mean"),
        ("  tags: [b, a]", "  pull: [{git_clone: }]", "git_clone: repository is missing"),
        ("  tags: [b, a]", "  pull: [{a.b.run_shell_script: {}}]", "do that in the flow"),
        (
            "  tags: [b, a]",
            "  pull: [{git_clone: {repository: x, access_token: canary}}]",
            "git_clone: 'access_token': it is not supported. Save it in a block",
        ),
        (
            "  tags: [b, a]",
            '  pull: [{git_clone: {repository: x, branch: "{{ $BRANCH }}"}}]',
            "git_clone: branch: '{{ $BRANCH }}' is a template",
        ),
        (
            "  tags: [b, a]",
            "  pull: [{git_clone: {repository: x, commit_sha: 1234567}}]",
            "git_clone: commit_sha: int is not a string. Put it in quotes",
        ),
        ("  tags: [b, a]", "  pull: [{git_clone: {repository: none}}]", "not appear to be a git"),
        (
            "  tags: [b, a]",
            "  pull: [{git_clone: {repository: x}}, {set_working_directory: {directory: y}}]",
            "runs start in their copy of the code",
        ),
        (
            "  tags: [b, a]",
            "  pull: [{pull_with_block: {block_document_name: a, block_type_slug: secret}}]",
            "it is a Secret, not a ObjectStore",
        ),
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
