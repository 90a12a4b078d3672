"""Prebuilt tasks: one for each command of dbt that people run, and one for all others."""

from __future__ import annotations

import shlex
from pathlib import Path

from flowstone import make_async_twin, task
from flowstone_dbt.cli_profile import DbtCliProfile
from flowstone_dbt.engine import DbtResult
from flowstone_dbt.errors import DbtError
from flowstone_dbt.project import DbtProject, check_profiles_dir
from flowstone_dbt.runner import DbtRunner, run_in_thread


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
    """Run a command of dbt; each node becomes a task run.

    Args:
        command: as it is typed in a shell: ``dbt build --select orders+``.
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
    words = shlex.split(command)
    if words[:1] == ["dbt"]:
        words = words[1:]
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


@task
def run_dbt_build(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-build-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Build all of a project: seeds, models, snapshots and their tests; each becomes a task run.

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
        run_dbt_build(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt build",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


@task
def run_dbt_model(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-run-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Build the models of a project; each becomes a task run.

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
        run_dbt_model(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt run",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


@task
def run_dbt_test(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-test-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Run the tests of a project; each becomes a task run.

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
        run_dbt_test(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt test",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


@task
def run_dbt_snapshot(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-snapshot-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Take the snapshots of a project; each becomes a task run.

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
        run_dbt_snapshot(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt snapshot",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


@task
def run_dbt_seed(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-seed-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Load the seeds of a project; each becomes a task run.

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
        run_dbt_seed(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt seed",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


@task
def run_dbt_source_freshness(
    profiles_dir: Path | str | None = None,
    project_dir: Path | str | None = None,
    overwrite_profiles: bool = False,
    dbt_cli_profile: DbtCliProfile | None = None,
    create_summary_artifact: bool = False,
    summary_artifact_key: str = "dbt-source-freshness-task-summary",
    extra_command_args: list[str] | None = None,
    stream_output: bool = True,
) -> DbtResult:
    """Check the freshness of a project's sources; each becomes a task run.

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
        run_dbt_source_freshness(project_dir=project_dir, profiles_dir=profiles_dir)
    """
    return trigger_dbt_cli_command.fn(
        "dbt source freshness",
        profiles_dir,
        project_dir,
        overwrite_profiles,
        dbt_cli_profile,
        create_summary_artifact,
        summary_artifact_key,
        extra_command_args,
        stream_output,
    )


atrigger_dbt_cli_command = make_async_twin(trigger_dbt_cli_command, run_in_thread)
arun_dbt_build = make_async_twin(run_dbt_build, run_in_thread)
arun_dbt_model = make_async_twin(run_dbt_model, run_in_thread)
arun_dbt_test = make_async_twin(run_dbt_test, run_in_thread)
arun_dbt_snapshot = make_async_twin(run_dbt_snapshot, run_in_thread)
arun_dbt_seed = make_async_twin(run_dbt_seed, run_in_thread)
arun_dbt_source_freshness = make_async_twin(run_dbt_source_freshness, run_in_thread)
