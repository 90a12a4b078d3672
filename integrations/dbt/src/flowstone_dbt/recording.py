"""dbt's events become task runs, log lines and results while it runs."""

from __future__ import annotations

import json
import logging
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowstone import record_task_run, tags
from flowstone.blocks.external_work import find_logger
from flowstone.errors import MissingContextError
from flowstone.states import Cancelled, Crashed
from flowstone_dbt.artifacts import read_manifest, read_results
from flowstone_dbt.errors import hide_profiles
from flowstone_dbt.nodes import UNRECORDED, NodeResult, read_event, read_time
from flowstone_dbt.process import is_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowstone.states import State
    from flowstone_dbt.artifacts import Manifest

#: The message of nodes that were running when dbt was interrupted.
INTERRUPTED = "dbt was interrupted"
#: Maximum number of last lines.
LAST = 10
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
#: Events that repeat others.
SILENT = frozenset({"NodeStart", "NodeFinished", "ArtifactWritten", "Formatting"})


class NodeRecorder:
    """Records the nodes of one command of dbt as they end.

    Args:
        folder: the directory that the command writes its artifacts to.
        parameters: parameters of each task run, in addition to its node's id and status.
        known: task run ids of nodes that earlier attempts recorded, by node.
        streams: whether lines also go to the log of the current run.
        on_parsed: called when dbt has parsed the project.
        records: whether nodes become task runs.

    Attributes:
        results: the result of each node, by its id.
        errors: dbt's messages at the level ERROR that belong to no node.
        previews: the output of ``dbt show`` and ``compile``.
        runs: the task run id of each node.
        is_stopping: whether dbt was interrupted: later failures count as cancelled.
        last_lines: the last lines at the level INFO that belong to no node.
        heard: whether dbt sent any event.
    """

    def __init__(
        self,
        folder: Path,
        parameters: Mapping[str, Any],
        known: Mapping[str, str],
        *,
        streams: bool = True,
        on_parsed: Callable[[], object] | None = None,
        records: bool = True,
    ) -> None:
        self.results: dict[str, NodeResult] = {}
        self.errors: list[str] = []
        self.previews: list[str] = []
        self.heard = False
        self._folder, self._parameters, self._streams = folder, parameters, streams
        self.runs = dict(known)
        self._on_parsed, self._records = on_parsed, records
        self.is_stopping = False
        self.last_lines: deque[str] = deque(maxlen=LAST)
        self._started: dict[str, float] = {}
        self._open: dict[str, int] = {}
        self._lines: dict[str, list[tuple[int, str]]] = {}
        self._logger = find_logger("dbt")

    @cached_property
    def manifest(self) -> Manifest:
        """The project's manifest, which dbt writes before it runs nodes."""
        return read_manifest(self._folder / "manifest.json")

    # -- while it runs ---------------------------------------------------------------------------

    def handle(self, event: Mapping[str, Any]) -> None:
        """Process an event of dbt."""
        self.heard = True
        info, data = event.get("info", {}), event.get("data", {})
        name, level = info.get("name", ""), LEVELS.get(info.get("level", ""), logging.INFO)
        node = (data.get("node_info") or {}).get("unique_id", "")
        if name == "FoundStats" and self._on_parsed is not None:
            self._on_parsed()
        if name == "NodeStart":
            started = read_time(data["node_info"].get("node_started_at"))
            self._started.setdefault(node, started or read_time(info.get("ts")) or 0.0)
            self._open[node] = self._open.get(node, 0) + 1
        elif name == "NodeFinished":
            # Each batch of a microbatch model starts and finishes under the model's id.
            self._open[node] = self._open.get(node, 1) - 1
            if not self._open[node]:
                self._finish(read_event(data), data["node_info"].get("materialized", ""))
        elif name in {"ShowNode", "CompiledNode"}:
            self.previews.append(data.get("preview") or data.get("compiled") or "")
        if name not in SILENT:
            self._log(node, level, hide_profiles(self._localize(info.get("msg", "").strip())))

    def handle_line(self, line: tuple[bool, str]) -> dict[str, Any] | None:
        """Process a line of the process; return the event if it is the last one.

        Args:
            line: whether it is from standard output, and the text.
        """
        is_event, text = line
        found: Any = None
        if is_event and text.startswith("{"):
            with suppress(ValueError):
                found = json.loads(text)
        if not isinstance(found, dict):
            if text.strip() and not is_noise(text):  # printed by macros and Python models
                self._log("", logging.INFO, text)
            return None
        if "ended" in found:
            ended: dict[str, Any] = found["ended"]
            return ended
        self.handle(found)
        return None

    def _log(self, node: str, level: int, text: str) -> None:
        if not text:
            return
        if node:
            self._lines.setdefault(node, []).append((level, text))
        elif level >= logging.ERROR:
            self.errors.append(text)
        else:
            self.last_lines.append(text)
        if self._streams and (level > logging.DEBUG or not node):
            self._logger.log(level, "%s", text)

    def _finish(self, result: NodeResult, materialized: str) -> None:
        if materialized == "ephemeral" and result.succeeded:
            return  # it is part of the models that read it
        # The progress of a microbatch is in the file that dbt writes at the end.
        if result.status != "partial success":
            self._record(result)

    # -- at its end ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Record what dbt's final files contain and no event reported."""
        for result in read_results(self._folder) or ():
            known = self.results.get(result.unique_id)
            if known is None:
                self._record(result)
            elif known.status != result.status:
                self._logger.debug(
                    "%s was recorded as %r, and run_results.json has %r",
                    *(result.unique_id, known.status, result.status),
                )
            else:  # it has more details than the event
                self.results[result.unique_id] = result

    def abandon(self, how: str, *, cancelled: bool) -> None:
        """Record the nodes that started but did not end.

        Args:
            how: what happened to dbt.
            cancelled: whether it was interrupted.
        """
        for node in list(self._started):
            if node not in self.results:
                state = Cancelled(how) if cancelled else Crashed(how)
                self._record(NodeResult(node, "error", how, started=self._started[node]), state)

    def _localize(self, text: str) -> str:
        """Return a text with the final paths of the command's files."""
        return text.replace(str(self._folder), str(self._folder.parent.parent))

    def _record(self, result: NodeResult, state: State | None = None) -> None:
        if result.message:
            result = replace(result, message=self._localize(result.message))
        self.results[result.unique_id] = result
        if result.resource_type in UNRECORDED or not self._records:
            return
        if self.is_stopping and result.failed and state is None:
            state = Cancelled(INTERRUPTED)
        parents = self.manifest.find_inputs(result.unique_id)
        state = state or result.make_state(self._explain_skip(parents))
        started = result.started or self._started.get(result.unique_id) or state.at
        ended = max(started, result.ended or state.at)
        lines = self._lines.pop(result.unique_id, [])
        extra = {"batches": result.batches} if result.batches else {}
        kind = ("data-test",) if result.resource_type in {"test", "unit_test"} else ()
        try:
            with tags(*kind):
                run_id = record_task_run(
                    result.name,
                    state,
                    started=started,
                    ended=ended,
                    logs=lines,
                    inputs=[self.runs[parent] for parent in parents if parent in self.runs],
                    measures=result.make_measures(),
                    parameters={
                        "unique_id": result.unique_id,
                        "status": result.status,
                        **self._parameters,
                        **extra,
                    },
                )
        except MissingContextError:  # outside a run, nothing is recorded
            return
        self.runs[result.unique_id] = run_id

    def _explain_skip(self, parents: list[str]) -> str | None:
        for parent in parents:
            found = self.results.get(parent)
            if found is not None and not found.succeeded:
                how = "was skipped" if found.status == "skipped" else "failed"
                return f"{found.resource_type} {found.name!r} {how}"
        inputs = set(parents)
        for test, result in self.results.items():
            if result.status == "fail" and inputs.intersection(self.manifest.parents.get(test, ())):
                return f"test {result.name!r} failed"
        return None
