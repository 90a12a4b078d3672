"""What a retry of a failed run has to run: its failed nodes and skipped steps, and no others."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError, JobError
from flowstone_dbt.cloud.failures import read_results
from flowstone_dbt.cloud.models import TriggerJobRunOptions
from flowstone_dbt.cloud.records import JsonObject
from flowstone_dbt.cloud.statuses import DbtCloudJobRunStatus, read_step_status, sort_steps
from flowstone_dbt.commands import RESUMABLE, list_words
from flowstone_dbt.nodes import SUCCEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient

#: Related objects of a run that are needed.
RELATED = ("run_steps", "trigger", "job")
#: Commands that run nodes and write their results.
RUNS_NODES = RESUMABLE - {"clone", "compile"}
#: Of these, the ones that also select the tests of selected nodes.
SELECTS_TESTS = frozenset({"build", "test"})
#: Options that select nodes, each with one or several values.
SELECTION = frozenset(
    {"--select", "-s", "--models", "--model", "-m", "--exclude", "--selector"}
    | {"--indirect-selection"}
)
#: Of these, the ones with exactly one value.
SINGLE = frozenset({"--selector", "--indirect-selection"})


def make_rerun_options(
    client: DbtCloudAdministrativeClient,
    run: JsonObject,
    options: TriggerJobRunOptions | None = None,
) -> TriggerJobRunOptions:
    """Return the options for a run of what another one did not complete.

    The overrides of the other run apply, too.

    Args:
        client: a client of the account.
        run: the run as the API returns it, including `RELATED`.
        options: more overrides, which take precedence over those of the other run.

    Raises:
        ConfigurationError: the options set steps.
        JobError: the run succeeded, or has not ended.
    """
    where, handle = client.where, str(run["id"])
    if options is not None and options.steps_override is not None:
        problem = "`steps_override` is set, and a retry chooses the steps itself"
        raise ConfigurationError("TriggerJobRunOptions", problem, "Remove it.")
    if not DbtCloudJobRunStatus.is_terminal_status_code(run["status"]):
        problem = f"run {handle} has not ended"
        raise JobError(where, problem, "Wait for it, or cancel it.", handle)
    if run["status"] == DbtCloudJobRunStatus.SUCCESS:
        problem = f"run {handle} succeeded: there is nothing to retry"
        raise JobError(where, problem, "Trigger the job to run all of it.", handle)
    found = _read_overrides(run)
    if commands := _list_commands(client, run):
        found["steps_override"] = commands
    found["cause"] = f"Retry of run {handle}, triggered by Flowstone"
    more = options.model_dump(exclude_none=True) if options is not None else {}
    return TriggerJobRunOptions(**{**found, **more})


def _read_overrides(run: JsonObject) -> JsonObject:
    """Return the overrides of a run."""
    trigger = run.get("trigger") or {}
    names = TriggerJobRunOptions.model_fields
    found = {name: trigger[name] for name in names if trigger.get(name) is not None}
    return {name: value for name, value in found.items() if value != "" and value != []}


def _list_commands(client: DbtCloudAdministrativeClient, run: JsonObject) -> list[str]:
    """Return the commands to run; none if no command began, so that all of them run."""
    undone = [step for step in sort_steps(run) if read_step_status(step) != "success"]
    if not undone or not _read_command(undone[0]):
        return []  # the repository or the profile failed, before any command
    commands = [step for step in undone if _read_command(step)]
    own = [step for step in commands if not _is_automatic(_read_command(step), run)]
    return [_make_command(client, run, step) for step in own or commands]


def _make_command(client: DbtCloudAdministrativeClient, run: JsonObject, step: JsonObject) -> str:
    """Return the command for the rest of a step."""
    command = _read_command(step)
    if read_step_status(step) != "error" or find_subcommand(command) not in RUNS_NODES:
        return command
    results = read_results(client, int(run["id"]), int(step["index"])) or []
    nodes = [str(each["unique_id"]) for each in results if each["status"] not in SUCCEEDED]
    # Without a failed node, the project failed; a hook can't be selected.
    if not nodes or any(node.startswith("operation.") for node in nodes):
        return command
    return select_nodes(command, nodes)


def _read_command(step: JsonObject) -> str:
    """Return the command in a step's name, as in "Invoke dbt with `dbt build`"; "" if none."""
    return str(step.get("name") or "").partition("`")[2].rpartition("`")[0]


def _is_automatic(command: str, run: JsonObject) -> bool:
    """Return whether dbt Cloud itself adds a command to each run of the job."""
    job, trigger = run.get("job") or {}, run.get("trigger") or {}
    if find_subcommand(command) == "deps":
        return True
    if command.startswith("dbt docs generate"):
        override = trigger.get("generate_docs_override")
        return bool(job.get("generate_docs") if override is None else override)
    is_freshness = command.startswith(("dbt source freshness", "dbt source snapshot-freshness"))
    return is_freshness and bool(job.get("generate_sources") or job.get("run_generate_sources"))


def find_subcommand(command: str) -> str:
    """Return the subcommand: ``build`` for ``dbt --fail-fast build``; "" if there is none."""
    return next(iter(list_words(split_words(command)[1:])), "")


def select_nodes(command: str, nodes: Sequence[str]) -> str:
    """Return a command that runs only the given nodes, with its other options.

    Args:
        command: the command, such as ``dbt build --select tag:daily --full-refresh``.
        nodes: the unique ids of the nodes.
    """
    words = [*_drop_selection(split_words(command))]
    names = dict.fromkeys(name_node(node) for node in nodes)
    exactly = ["--indirect-selection", "empty"] if find_subcommand(command) in SELECTS_TESTS else []
    return shlex.join([*words, *exactly, "--select", *names])


def name_node(unique_id: str) -> str:
    """Return the selector of a node: ``orders.v2`` for ``model.shop.orders.v2``."""
    kind, _, *rest = unique_id.split(".")
    if kind == "unit_test":
        return rest[-1]
    return rest[0] if kind == "test" else ".".join(rest)


def split_words(command: str) -> list[str]:
    """Return the words of a command; unmatched quotes count as characters."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _drop_selection(words: Sequence[str]) -> Iterator[str]:
    dropping = 0
    for word in words:
        name, has_value = word.partition("=")[0], "=" in word
        if name in SELECTION:
            dropping = 0 if has_value else 1 if name in SINGLE else len(words)
        elif word.startswith("-"):
            dropping = 0
            yield word
        elif dropping:
            dropping -= 1
        else:
            yield word
