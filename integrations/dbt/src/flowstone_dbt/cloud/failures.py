"""Why a run failed: the step, its failed nodes, and the end of its log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import FlowstoneError, JobLost
from flowstone_dbt.cloud.clients import read_artifact
from flowstone_dbt.cloud.records import JsonObject
from flowstone_dbt.cloud.statuses import read_step_status, sort_steps
from flowstone_dbt.nodes import has_failed

if TYPE_CHECKING:
    from flowstone_dbt.cloud.clients import DbtCloudAdministrativeClient

#: Maximum number of failed nodes, and of last lines of a step's log, in an error.
MOST_NODES, LAST_LINES = 10, 10
#: Maximum number of characters that are quoted from dbt's message on a node.
MOST_WORDS = 300
#: Escape sequences, such as colors, in dbt's output.
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def find_failing_step(run: JsonObject) -> JsonObject | None:
    """Return the first step of a run that ended with an error; None if there is none."""
    steps = sort_steps(run)
    return next((step for step in steps if read_step_status(step) == "error"), None)


def read_results(
    client: DbtCloudAdministrativeClient, run_id: int, step: int
) -> list[JsonObject] | None:
    """Return the results of a step's nodes; None if there are none.

    Args:
        client: a client of the account.
        run_id: the id of the run.
        step: the index of the step.
    """
    try:
        content = read_artifact(client.get_run_artifact(run_id, "run_results.json", step))
    except JobLost:
        return None
    if isinstance(content, str):  # a broken file
        return None
    results = content.get("results") if isinstance(content, dict) else None
    return results if isinstance(results, list) else None


def describe_failure(client: DbtCloudAdministrativeClient, run: JsonObject) -> str:
    """Return the reason of a run's failure.

    Args:
        client: a client of the account.
        run: as the API returns it, with its ``run_steps``.
    """
    name = f"run {run['id']} failed"
    step = find_failing_step(run)
    if step is None:
        message = run.get("status_message")
        return f"{name}: {message}" if message else name
    told = [f"{name} in step {step['index']}, {step['name']}"]
    told += _describe_nodes(client, run, step)
    if len(told) == 1 and (words := _find_last_words(step)):
        told.append(f"last log lines: {words}")
    return ": ".join([told[0], "; ".join(told[1:])]) if told[1:] else told[0]


def _describe_nodes(
    client: DbtCloudAdministrativeClient, run: JsonObject, step: JsonObject
) -> list[str]:
    try:
        results = read_results(client, int(run["id"]), int(step["index"])) or []
    except FlowstoneError:  # the failure is known without them
        return []
    failing = [each for each in results if has_failed(str(each.get("status")))]
    told = [_describe_node(each) for each in failing[:MOST_NODES]]
    if len(failing) > MOST_NODES:
        told.append(f"and {len(failing) - MOST_NODES} more")
    return told


def _describe_node(result: JsonObject) -> str:
    told = f"{result.get('unique_id')} ({result.get('status')})"
    words = " ".join(str(result.get("message") or "").split())
    return f"{told} {words[:MOST_WORDS]}".strip()


def _find_last_words(step: JsonObject) -> str:
    lines = _ESCAPE.sub("", str(step.get("logs") or step.get("debug_logs") or "")).splitlines()
    return "\n".join([line.rstrip() for line in lines if line.strip()][-LAST_LINES:])
