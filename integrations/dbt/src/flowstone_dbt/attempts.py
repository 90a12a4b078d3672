"""Earlier attempts of a command: the nodes they completed, from the records of their runs."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from flowstone import find_recorded_task_runs, runtime
from flowstone.blocks.external_work import find_logger
from flowstone_dbt.nodes import NodeResult
from flowstone_dbt.options import drop_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flowstone_dbt.artifacts import Manifest

#: The version of the run_results.json that is written for `dbt retry`.
SCHEMA = "https://schemas.getdbt.com/dbt/run-results/v6.json"
#: Maximum number of flow attempts in memory; the oldest are dropped.
MOST = 10_000

_lock = threading.Lock()
#: The recorded commands that an attempt of a flow resumes, by the flow's id and attempt number,
#: each with the attempt of the task that resumes it.
_claimed: dict[tuple[str, int], dict[str, tuple[str, int]]] = {}


@dataclass(frozen=True)
class EarlierAttempts:
    """The state of a command from earlier attempts.

    Attributes:
        args: its arguments; in a retry, the recorded ones.
        parameters: the parameters that its nodes are recorded with.
        earlier: the last result of each node in earlier attempts, by id.
        runs: the ids of their task runs.
        settled: the ids of nodes that are not retried, although they have not succeeded.
    """

    args: tuple[str, ...]
    parameters: Mapping[str, Any]
    earlier: Mapping[str, NodeResult] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()

    def is_left(self, unique_id: str) -> bool:
        """Return whether a node still has to run."""
        found = self.earlier.get(unique_id)
        return unique_id not in self.settled and (found is None or not found.succeeded)

    def follow(
        self, nodes: Mapping[str, NodeResult], runs: Mapping[str, str], manifest: Manifest
    ) -> EarlierAttempts:
        """Return the state for retrying the errors of this attempt.

        A failed test would fail again: it is not retried, nor are nodes skipped because of it.

        Args:
            nodes: the results of this attempt.
            runs: the ids of their task runs.
            manifest: the manifest of the project.
        """
        failed = {each for each, node in nodes.items() if node.status == "fail"}
        blocked = {parent for test in failed for parent in manifest.parents.get(test, ())}
        settled = set(failed)
        while more := {
            each
            for each, node in nodes.items()
            if node.status == "skipped"
            and each not in settled
            and blocked.intersection(manifest.find_inputs(each))
        }:
            settled |= more
            blocked |= more
        return replace(self, earlier=nodes, runs=runs, settled=frozenset(settled))

    def write_results(
        self, folder: Path, command: str, given: Mapping[str, Any], pending: Sequence[str]
    ) -> None:
        """Write ``run_results.json`` for `dbt retry`, as dbt would have left it.

        Args:
            folder: the directory of the file.
            command: the command to retry.
            given: its options, by dbt's names.
            pending: the nodes that still have to run.
        """
        folder.mkdir(parents=True)
        nodes = {
            **{each: NodeResult(each, "skipped") for each in pending},
            **self.earlier,
        }
        results: list[dict[str, Any]] = [
            {
                "unique_id": node.unique_id,
                "status": node.status,
                "timing": [],
                "thread_id": "MainThread",
                "execution_time": 0.0,
                "adapter_response": {},
                "message": None,
                "failures": None,
                "compiled": None,
                "compiled_code": None,
                "relation_name": None,
                "batch_results": node.batches,
            }
            for node in nodes.values()
            if node.unique_id not in self.settled
        ]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        content = {
            "metadata": {
                "dbt_schema_version": SCHEMA,
                "generated_at": now,
                "invocation_id": None,
                "env": {},
            },
            "args": {**given, "which": command},
            "results": results,
            "elapsed_time": 0.0,
        }
        (folder / "run_results.json").write_text(json.dumps(content, default=str), "utf-8")


def find_attempts(project: str, command: str, args: Sequence[str]) -> EarlierAttempts:
    """Return the state of a command from earlier attempts of the current run or its flow.

    A command is the same if its arguments are the same. If only its variables differ, such as a
    timestamp, it is the one recorded with the same other arguments, if there is exactly one.

    Args:
        project: the identifier of the project and its target.
        command: the name of the command.
        args: its arguments in this attempt.
    """
    kind = _hash(project, command, *drop_option(args, "--vars"))
    same = f"{kind}/{_hash(*args)}/"
    recorded = [
        (run.id, parameters)
        for run in find_recorded_task_runs()
        if str((parameters := dict(run.parameters or {})).get("invocation")).startswith(f"{kind}/")
    ]
    place = _claim(same, list(dict.fromkeys(str(each["invocation"]) for _, each in recorded)))
    found = [(run_id, each) for run_id, each in recorded if each["invocation"] == place]
    earlier = {
        each["unique_id"]: NodeResult(
            each["unique_id"], each["status"], batches=each.get("batches")
        )
        for _, each in found
    }
    first = tuple(found[0][1].get("args", args)) if found else tuple(args)
    if any("***" in each for each in first):  # a secret was masked
        first = tuple(args)
    if first != tuple(args):
        find_logger("dbt").warning(
            "this retry uses the arguments of the first attempt: %s", " ".join(first)
        )
    parameters = {"invocation": place, "args": list(first)}
    return EarlierAttempts(
        first, parameters, earlier, {each["unique_id"]: run for run, each in found}
    )


def _hash(*words: str) -> str:
    return sha256("\0".join(words).encode()).hexdigest()[:16]


def _claim(same: str, recorded: Sequence[str]) -> str:
    """Return the recorded command that this one resumes, or a name for a new one.

    Args:
        same: the common prefix of the names of commands with the same arguments.
        recorded: the commands of the same kind from earlier attempts, oldest first.
    """
    flow, task = runtime.flow_run, runtime.task_run
    caller = (task.id or "", task.run_count or 0)
    with _lock:
        while len(_claimed) > MOST:
            del _claimed[next(iter(_claimed))]
        claimed = _claimed.setdefault((flow.id or "", flow.run_count or 0), {})
        # A command that an earlier attempt of the same task resumed is free again.
        free = [
            each
            for each in recorded
            if (by := claimed.get(each)) is None or (by[0] == caller[0] and by[1] < caller[1])
        ]
        exact = [each for each in free if each.startswith(same)]
        if exact:
            place = exact[0]
        else:
            place = free[0] if len(free) == 1 else f"{same}{token_hex(8)}"
        claimed[place] = caller
        return place
