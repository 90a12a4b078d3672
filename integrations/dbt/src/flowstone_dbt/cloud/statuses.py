"""Statuses of dbt Cloud's runs and steps."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from flowstone_dbt.cloud.records import JsonObject

if TYPE_CHECKING:
    pass


class DbtCloudJobRunStatus(IntEnum):
    """The status of a run, as numbered by dbt Cloud."""

    QUEUED = 1
    STARTING = 2
    RUNNING = 3
    SUCCESS = 10
    FAILED = 20
    CANCELLED = 30

    @classmethod
    def is_terminal_status_code(cls, status_code: int) -> bool:
        """Return whether a run with this status has ended."""
        return status_code >= cls.SUCCESS


#: Statuses of steps, which have more of them than runs.
_WORDS = {1: "queued", 2: "starting", 3: "running", 10: "success", 20: "error", 30: "cancelled"}
_WAITING = frozenset({"queued", "starting", "running", "pending"})


def read_step_status(step: JsonObject) -> str:
    """Return the status of a step in lowercase, such as ``success`` or ``skipped``."""
    return str(step.get("status_humanized") or _WORDS.get(step.get("status") or 1, "")).lower()


def has_step_ended(step: JsonObject) -> bool:
    """Return whether a step has ended or was skipped."""
    return read_step_status(step) not in _WAITING


def sort_steps(run: JsonObject) -> list[JsonObject]:
    """Return the steps of a run in order; none if they were not requested."""
    steps: list[JsonObject] = run.get("run_steps") or []
    return sorted(steps, key=lambda step: int(step.get("index") or 0))
