"""Checks of deployments: whether a run could be executed, without executing one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from flowstone.blocks.jobs.processes import TICK, Process, describe_exit
from flowstone.calls.parameter_schema import make_parameter_schema
from flowstone.code.environments import find_python
from flowstone.code.run_environments import make_run_environment
from flowstone.context.current import services
from flowstone.deployments.creation import check_parameters, make_recipe
from flowstone.deployments.documents import load_deployment
from flowstone.errors import ConfigurationError, FlowstoneError, ObjectNotFound, ParameterTypeError
from flowstone.flow_runs.executions import load_flow_of_run
from flowstone.flow_runs.pinned_code import enter_code
from flowstone.infrastructure.variables import check_variables
from flowstone.infrastructure.work_pools import load_infrastructure_of, load_work_pool
from flowstone.records.deployments import decode_deployment, encode_deployment
from flowstone.records.encoding import dumps
from flowstone.settings import make_child_environ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.records.deployments import Deployment

_REQUEST, _REPORT = "deployment.json", "report.json"
#: Number of last lines of a dead process that are shown.
_SHOWN = 30


class Problem(NamedTuple):
    """Something that would make runs of a deployment fail.

    Attributes:
        subject: ``environment``, ``job variables``, ``entrypoint``, ``parameters``, or the schedule
            whose parameters are not valid.
        message: the problem, and the remedy.
        traceback: the traceback of an error raised by the flow's code.
    """

    subject: str
    message: str
    traceback: str | None = None


class CheckReport(NamedTuple):
    """The result of a check.

    Attributes:
        problems: the problems; empty if there are none.
        python: the interpreter that executes runs.
        directory: the directory that it starts in.
        path: the search path for modules, including the flow's own directory.
    """

    problems: list[Problem]
    python: str
    directory: str
    path: list[str]


def check_deployment(name: str) -> CheckReport:
    """Import the flow of a deployment in a process like that of a run, and check all parameters.

    Args:
        name: the deployment: ``flow/name``, or its own name if that is unique.

    Raises:
        ObjectNotFound: there is no such deployment.
    """
    deployment = load_deployment(name)
    report = _check_code(deployment)
    return report._replace(problems=[*_check_job_variables(deployment), *report.problems])


def _check_job_variables(deployment: Deployment) -> Iterator[Problem]:
    """Yield problems that keep jobs from starting, if a worker would run on this machine."""
    if deployment.work_pool_name is None:
        return
    try:
        pool = load_work_pool(deployment.work_pool_name)
        infrastructure = load_infrastructure_of(pool)
        owner = f"deployment {deployment.full_name!r}"
        layers = pool.job_variables, deployment.job_variables
        problem = infrastructure.find_problem(check_variables(owner, infrastructure, *layers))
    except ObjectNotFound:
        return  # its runs wait, with that reason
    except FlowstoneError as error:
        problem = str(error)
    if problem is not None:
        yield Problem("job variables", problem)


def _check_code(deployment: Deployment) -> CheckReport:
    try:
        python = _find_python(deployment)
    except FlowstoneError as error:
        problems = [Problem("environment", str(error)), *_check_all_parameters(deployment)]
        return CheckReport(problems, sys.executable, str(Path.cwd()), [])
    with TemporaryDirectory() as folder:
        request, report = Path(folder, _REQUEST), Path(folder, _REPORT)
        request.write_text(dumps(encode_deployment(deployment)))
        process, code = _run_child(folder, python)
        if report.exists():
            body = json.loads(report.read_text())
            problems = [Problem(*each) for each in body.pop("problems")]
            return CheckReport(problems, **body)
    problem = f"the process that imports it ended with {describe_exit(code)}"
    told = "\n".join(process.last_words(_SHOWN))
    dead = Problem("entrypoint", f"{deployment.entrypoint}: {problem}", told or None)
    problems = [dead, *_check_all_parameters(deployment)]
    return CheckReport(problems, python, str(Path.cwd()), [])


def _find_python(deployment: Deployment) -> str:
    """Return the interpreter of its runs; create their environment if there is none yet."""
    if deployment.environment is None:
        return sys.executable
    return str(find_python(make_run_environment(deployment.environment, deployment.code)))


def _run_child(folder: str, python: str) -> tuple[Process, int]:
    """Import the flow in a new process; return the process and its exit code."""
    command = [python, "-m", "flowstone.deployments.check_process", folder]
    process = Process(command, make_child_environ(services().settings), None, None)
    try:
        while (code := process.exit_code()) is None:
            services().clock.sleep(TICK)
    except BaseException:  # including an interrupt by the user
        process.end(grace_seconds=0.0)
        raise
    return process, code


def write_report(folder: str) -> None:
    """Check the deployment in a directory of `check_deployment`, and write the result there."""
    deployment = decode_deployment(json.loads(Path(folder, _REQUEST).read_text()))
    problems = list(_inspect(deployment))
    report = CheckReport(problems, sys.executable, str(Path.cwd()), sys.path)
    Path(folder, _REPORT).write_text(dumps(report._asdict()))


def _inspect(deployment: Deployment) -> Iterator[Problem]:
    """Yield the problems, with the current parameters of the flow if it can be imported."""
    try:
        recipe = make_recipe(deployment)
        enter_code(recipe)
        flow = load_flow_of_run(recipe)
    except ConfigurationError as error:
        yield Problem("entrypoint", str(error), "\n".join(getattr(error, "__notes__", [])) or None)
    else:
        if flow.name != deployment.flow_name:
            problem = f"{deployment.entrypoint} is now the flow {flow.name!r}: deploy it again"
            yield Problem("entrypoint", problem)
        schema = make_parameter_schema(flow.parameters)
        deployment = replace(deployment, parameter_schema=schema)
    yield from _check_all_parameters(deployment)


def _check_all_parameters(deployment: Deployment) -> Iterator[Problem]:
    """Yield invalid parameters: of the deployment, and of each schedule merged with them."""
    try:
        check_parameters(deployment, deployment.parameters, is_complete=False)
    except ParameterTypeError as error:
        yield Problem("parameters", _word(error))
        return  # those of each schedule contain them
    for schedule in deployment.all_schedules:
        given = {**deployment.parameters, **(schedule.parameters or {})}
        try:
            check_parameters(deployment, given, is_complete=True)
        except ParameterTypeError as error:
            yield Problem(f"schedule {schedule.slug!r}", _word(error))


def _word(error: ParameterTypeError) -> str:
    return "; ".join(f"{name}: {problem}" for name, problem in error.problems.items())
