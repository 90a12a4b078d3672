"""Prebuilt tasks: one for each common dbt command, and one for all others."""

from __future__ import annotations

from inspect import Signature, signature
from pathlib import Path
from typing import Concatenate, ParamSpec

from flowstone import Task, make_async_twin, task
from flowstone_dbt.cli_profile import DbtCliProfile
from flowstone_dbt.commands import split_command
from flowstone_dbt.errors import DbtError
from flowstone_dbt.project import DbtProject, check_profiles_dir
from flowstone_dbt.results import DbtResult
from flowstone_dbt.runner import DbtRunner
from flowstone_dbt.stopping import run_in_thread

P = ParamSpec("P")


@task
def trigger_dbt_cli_command(  # noqa: PLR0913 - as users know it
    command: str,
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-cli-command-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Run a dbt command; each node becomes a task run.

    Args:
        command: the command as typed in a shell: ``dbt build --select orders+``.
        profiles_dir: the folder with profiles.yml; by default, dbt looks for it.
        project_dir: the folder with dbt_project.yml; by default, the current directory.
        overwrite_profiles: whether `dbt_cli_profile` takes precedence over the profiles.yml in
            `profiles_dir`.
        dbt_cli_profile: a profile of blocks; it takes precedence over profiles.yml.
        create_summary_artifact: whether to save a table of the nodes as an artifact.
        summary_artifact_key: its key.
        extra_command_args: more arguments.
        stream_output: whether dbt's lines go to the run's log.

    Raises:
        DbtError: the command could not be run, or nodes failed (`DbtNodesFailed`).

    Example:
        trigger_dbt_cli_command("dbt ls", project_dir=project_dir, profiles_dir=profiles_dir)
    """
    words = split_command(command)
    if not words:
        raise DbtError(f"{command!r} names no command", "Write 'dbt build', for example.")
    if dbt_cli_profile is not None and profiles_dir is not None:
        check_profiles_dir(Path(profiles_dir), overwrite=overwrite_profiles)
        profiles_dir = None
    project = DbtProject(
        project_dir=None if project_dir is None else Path(project_dir),
        profiles_dir=None if profiles_dir is None else Path(profiles_dir),
        profile=dbt_cli_profile,
        stream_output=stream_output,
    )
    runner = DbtRunner(
        project,
        create_summary_artifact=create_summary_artifact,
        summary_artifact_key=summary_artifact_key,
    )
    return runner.invoke([*words, *(extra_command_args or ())])


def _make_task(
    trigger: Task[Concatenate[str, P], DbtResult], name: str, command: str, what: str
) -> Task[P, DbtResult]:
    """Return the task for one command, with the parameters of the general task.

    Args:
        trigger: the general task, whose first parameter is the command.
        name: the name of the task.
        command: the dbt command.
        what: the beginning of the docstring.
    """
    _, *rest = signature(trigger.fn).parameters.values()
    key = f"dbt-{command.replace(' ', '-')}-task-summary"
    own = Signature(
        [
            each.replace(default=key) if each.name == "summary_artifact_key" else each
            for each in rest
        ],
        return_annotation="DbtResult",
    )

    def run(*args: P.args, **kwargs: P.kwargs) -> DbtResult:
        given = own.bind(*args, **kwargs)
        given.apply_defaults()
        return trigger.fn(f"dbt {command}", *given.args, **given.kwargs)

    run.__name__ = run.__qualname__ = name
    vars(run)["__signature__"] = own  # which `inspect` reads
    run.__annotations__ = {each.name: each.annotation for each in rest} | {"return": "DbtResult"}
    run.__doc__ = f"""{what}; each becomes a task run.

    Args:
        profiles_dir: the folder with profiles.yml; by default, dbt looks for it.
        project_dir: the folder with dbt_project.yml; by default, the current directory.
        overwrite_profiles: whether `dbt_cli_profile` takes precedence over the profiles.yml in
            `profiles_dir`.
        dbt_cli_profile: a profile of blocks; it takes precedence over profiles.yml.
        create_summary_artifact: whether to save a table of the nodes as an artifact.
        summary_artifact_key: its key.
        extra_command_args: more arguments: ``["--select", "orders+"]``.
        stream_output: whether dbt's lines go to the run's log.

    Raises:
        DbtError: the command could not be run, or nodes failed (`DbtNodesFailed`).

    Example:
        {name}(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return task(run)


run_dbt_build = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_build",
    "build",
    "Build all of a project: seeds, models, snapshots and their tests",
)
run_dbt_model = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_model",
    "run",
    "Build the models of a project",
)
run_dbt_test = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_test",
    "test",
    "Run the tests of a project",
)
run_dbt_snapshot = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_snapshot",
    "snapshot",
    "Run the snapshots of a project",
)
run_dbt_seed = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_seed",
    "seed",
    "Load the seeds of a project",
)
run_dbt_source_freshness = _make_task(
    trigger_dbt_cli_command,
    "run_dbt_source_freshness",
    "source freshness",
    "Check the freshness of a project's sources",
)

atrigger_dbt_cli_command = make_async_twin(trigger_dbt_cli_command, run_in_thread)
arun_dbt_build = make_async_twin(run_dbt_build, run_in_thread)
arun_dbt_model = make_async_twin(run_dbt_model, run_in_thread)
arun_dbt_test = make_async_twin(run_dbt_test, run_in_thread)
arun_dbt_snapshot = make_async_twin(run_dbt_snapshot, run_in_thread)
arun_dbt_seed = make_async_twin(run_dbt_seed, run_in_thread)
arun_dbt_source_freshness = make_async_twin(run_dbt_source_freshness, run_in_thread)
