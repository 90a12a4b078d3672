"""Checks of deployments, with real processes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowstone.deployments.checks import _check_job_variables, check_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.errors import ObjectNotFound
from flowstone.infrastructure.work_pools import create_work_pool
from flowstone.records.runs import RunQuery
from flowstone.schedules import Cron

from . import flows

if TYPE_CHECKING:
    from flowstone.context.current import Services
    from flowstone.records.deployments import Deployment

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("services")]


def deploy(place: str = f"{Path(flows.__file__)}:etl", **changes: object) -> Deployment:
    """Save a deployment as somebody may have left it, without the checks of a deploy."""
    made = flows.etl.to_deployment("x")
    for name, value in {"entrypoint": place, **changes}.items():
        object.__setattr__(made, name, value)
    return save_deployment(made)


def test_all_is_well(services: Services) -> None:
    deploy(schedules=(Cron("@daily", slug="a", parameters={"n": 2}),), parameters={"n": 1})
    report = check_deployment("x")
    assert report.problems == []
    assert (report.python, report.directory) == (sys.executable, str(Path.cwd()))
    assert str(Path(flows.__file__).parent) in report.path
    with pytest.raises(ObjectNotFound, match="Did you mean 'etl/x'"):
        check_deployment("etl/y")
    assert services.runs.runs(RunQuery()) == []


def test_a_module_that_is_missing_is_told_with_what_was_on_the_path(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("print('loading')\nimport nonexistent_module\n")
    deploy(f"{broken}:etl")
    report = check_deployment("x")
    (problem,) = report.problems
    assert problem.subject == "entrypoint"
    assert "ModuleNotFoundError: No module named 'nonexistent_module'" in problem.message
    assert "line 2" in (problem.traceback or "")
    assert str(tmp_path) in report.path


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import os; os._exit(7)", "ended with exit code 7"),
        ("raise SystemExit('no licence')", "ended with exit code 1"),
        ("from flowstone import flow\n@flow\ndef etll(): pass", "Did you mean 'etll'"),
        ("from flowstone import flow\n@flow(name='new')\ndef etl(): pass", "is now the flow 'new'"),
    ],
)
def test_a_flow_that_can_not_be_had_is_told(tmp_path: Path, code: str, problem: str) -> None:
    file = tmp_path / "etl.py"
    file.write_text(code)
    deploy(f"{file}:etl")
    assert problem in check_deployment("x").problems[0].message
    file.unlink()
    assert "there is no file" in check_deployment("x").problems[0].message


def test_a_program_that_serves_is_imported_only(tmp_path: Path) -> None:
    file = tmp_path / "etl.py"
    file.write_text("from flowstone import flow\n@flow\ndef etl(): pass\netl.serve('x')")
    deploy(f"{file}:etl")
    assert "it was called while this file was being imported" in (
        check_deployment("x").problems[0].message
    )


def test_parameters_are_checked_against_the_flow_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "etl.py"
    file.write_text("from flowstone import flow\n@flow\ndef etl(m: int, who: str = 'me'): pass")
    schedules = tuple(
        Cron("@daily", slug=slug, parameters=parameters)
        for slug, parameters in (("a", None), ("b", {"m": "many"}), ("c", {"m": 3}))
    )
    made = deploy(f"{file}:etl", parameters={"who": "Ann"}, schedules=schedules)
    subjects = [problem.subject for problem in check_deployment("x").problems]
    assert subjects == ["schedule 'a'", "schedule 'b'"]
    save_deployment(replace(made, parameters={"who": 5, "n": 2}))
    (problem,) = check_deployment("x").problems
    assert problem.subject == "parameters"
    assert "who: " in problem.message
    assert "n: there is no such parameter" in problem.message


def test_parameters_are_checked_also_where_the_flow_can_not_be_had(tmp_path: Path) -> None:
    file = tmp_path / "etl.py"
    for code in ("import os; os._exit(7)", "1 / 0"):
        file.write_text(code)
        deploy(f"{file}:etl", parameters={"n": "many"})
        subjects = [problem.subject for problem in check_deployment("x").problems]
        assert subjects == ["entrypoint", "parameters"]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("working_dir", "/nope", "its working_dir '/nope' does not exist on "),
        ("working_dir", __file__, "is not a directory on "),
        ("command", "nosuchprogram -v", "there is no program 'nosuchprogram' on "),
    ],
)
def test_job_variables_of_the_pool_and_the_deployment_are_checked(
    name: str, value: str, problem: str
) -> None:
    create_work_pool("p", job_variables={name: value})
    create_work_pool("q", job_variables={"command": f"{sys.executable} -m flowstone run execute"})
    made = deploy(work_pool_name="p")
    (found,) = _check_job_variables(made)
    assert found.subject == "job variables"
    assert problem in found.message
    assert found.message.endswith(f"Change the job variable {name}.")
    own = replace(made, work_pool_name="q", job_variables={name: value})
    assert list(_check_job_variables(own)) == [found]
    assert list(_check_job_variables(replace(own, job_variables={}))) == []
    assert list(_check_job_variables(replace(own, work_pool_name="none"))) == []
