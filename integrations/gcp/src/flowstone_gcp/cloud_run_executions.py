"""Status, failure reason and measures of Cloud Run executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.blocks import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.cloud.run_v2 import Execution, Task

#: The numbers of https://cloud.google.com/run/docs/reference/rest/v2/Condition
FAILED, SUCCEEDED = 3, 4
CANCELLED, DELETED = 3, 5
#: The units of memory: https://cloud.google.com/run/docs/configuring/jobs/memory-limits
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


def find_status(execution: Execution) -> JobStatus:
    """Return the status of an execution; one that was cancelled is never completed."""
    end = next((each for each in execution.conditions if each.type_ == "Completed"), None)
    if end is None or int(end.state) not in {FAILED, SUCCEEDED}:
        return JobStatus.RUNNING if execution.running_count else JobStatus.PENDING
    if int(end.execution_reason) in {CANCELLED, DELETED} or execution.cancelled_count:
        return JobStatus.CANCELLED
    return JobStatus.COMPLETED if int(end.state) == SUCCEEDED else JobStatus.FAILED


def describe_failure(execution: Execution, tasks: Iterable[Task]) -> str:
    """Return the reason of a failure, as Cloud Run states it, and of the first failed task."""
    end = next((each for each in execution.conditions if each.type_ == "Completed"), None)
    words = [end.message.strip(" .")] if end is not None and end.message else []
    failed = [task for task in tasks if task.last_attempt_result.status.code]
    if execution.task_count > 1 and execution.failed_count:
        words.append(f"{execution.failed_count} of {execution.task_count} tasks failed")
    if failed:
        result = failed[0].last_attempt_result
        if result.status.message and result.status.message.strip(" .") not in " ".join(words):
            words.append(result.status.message.strip(" ."))
        if result.exit_code:
            words.append(f"exit code {result.exit_code}")
        if result.term_signal:
            words.append(f"signal {result.term_signal}")
    return "; ".join(words) or "Cloud Run gives no reason"


def measure(execution: Execution, tasks: Iterable[Task]) -> dict[str, float]:
    """Return the measures of an execution: its times, and the CPU and memory of its tasks."""
    found = _measure_spans(execution)
    seconds = sum(
        (task.completion_time - task.start_time).total_seconds()
        for task in tasks
        if task.start_time and task.completion_time
    )
    limits = dict(execution.template.containers[0].resources.limits)
    if seconds and (cpu := parse_cpu(limits.get("cpu", ""))):
        found["vcpu_seconds"] = seconds * cpu
    if seconds and (memory := parse_memory(limits.get("memory", ""))):
        found["memory_gb_seconds"] = seconds * memory / 2**30
    return found


def _measure_spans(execution: Execution) -> dict[str, float]:
    found: dict[str, float] = {}
    if execution.start_time and execution.create_time:
        found["queue_seconds"] = (execution.start_time - execution.create_time).total_seconds()
    if execution.start_time and execution.completion_time:
        found["run_seconds"] = (execution.completion_time - execution.start_time).total_seconds()
    return found


def parse_cpu(text: str) -> float | None:
    """Return the number of CPUs for a text such as ``1000m`` or ``2``; None if it is invalid."""
    try:
        return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    except ValueError:
        return None


def parse_memory(text: str) -> float | None:
    """Return the number of bytes for a text such as ``512Mi``; None if it is invalid."""
    unit = next((each for each in sorted(_UNITS, reverse=True) if text.endswith(each)), "")
    try:
        return float(text.removesuffix(unit)) * _UNITS.get(unit, 1.0)
    except ValueError:
        return None
