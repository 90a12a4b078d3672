"""Earlier attempts of a command: which nodes they did, as the records of their runs say."""

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

#: The version of run_results.json that is written for `dbt retry`.
SCHEMA = "https://schemas.getdbt.com/dbt/run-results/v6.json"
#: So many attempts of flows are remembered; the oldest are forgotten.
MOST = 10_000

_lock = threading.Lock()
#: The recorded commands that an attempt of a flow goes on with, by its id and number, and which
#: attempt of a task does.
_claimed: dict[tuple[str, int], dict[str, tuple[str, int]]] = {}


@dataclass(frozen=True)
class EarlierAttempts:
    """What is known of a command when it begins.

    Attributes:
        args: its arguments; in a retry those that were recorded.
        parameters: what its nodes are recorded with.
        earlier: how nodes ended in earlier attempts, by their ids; the last word on each.
        runs: the ids of their task runs.
        settled: the ids of nodes that are not tried again, though they have not succeeded.
    """

    args: tuple[str, ...]
    parameters: Mapping[str, Any]
    earlier: Mapping[str, NodeResult] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    settled: frozenset[str] = frozenset()

    def is_left(self, unique_id: str) -> bool:
        """Tell whether a node is still to be run."""
        found = self.earlier.get(unique_id)
        return unique_id not in self.settled and (found is None or not found.succeeded)

    def follow(
        self, nodes: Mapping[str, NodeResult], runs: Mapping[str, str], manifest: Manifest
    ) -> EarlierAttempts:
        """Return what is known when errors of this attempt are tried again.

        A test that failed would fail again: it is not tried, nor what was skipped because of it.

        Args:
            nodes: how this attempt ended.
            runs: the ids of their task runs.
            manifest: of the project.
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
        """Write ``run_results.json`` as dbt would have left it: `dbt retry` reads it.

        Args:
            folder: where.
            command: the command that is tried again.
            given: the options that it was given, by dbt's names for them.
            pending: the nodes that are left.
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
    """Return what earlier attempts of the current run, or of its flow, did of a command.

    It is the same command if its arguments are the same. If only its variables are others, as a
    time of day is in each attempt, it is the one that was recorded with the other arguments, if
    there is just one.

    Args:
        project: what tells the project and its target from others.
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
            "this retry goes on with the arguments of the first attempt: %s", " ".join(first)
        )
    parameters = {"invocation": place, "args": list(first)}
    return EarlierAttempts(
        first, parameters, earlier, {each["unique_id"]: run for run, each in found}
    )


def _hash(*words: str) -> str:
    return sha256("\0".join(words).encode()).hexdigest()[:16]


def _claim(same: str, recorded: Sequence[str]) -> str:
    """Return the recorded command that this one goes on with, or a name for a new one.

    Args:
        same: what the names of commands with the same arguments begin with.
        recorded: those of the same kind that earlier attempts recorded, oldest first.
    """
    flow, task = runtime.flow_run, runtime.task_run
    caller = (task.id or "", task.run_count or 0)
    with _lock:
        while len(_claimed) > MOST:
            del _claimed[next(iter(_claimed))]
        claimed = _claimed.setdefault((flow.id or "", flow.run_count or 0), {})
        # What an earlier attempt of the same task went on with is free again.
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
