"""The options of `@flow` and `@task`, and their types: for type checkers and for docs.

It is not imported when a program starts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from flowstone.calls.options import OPTIONS

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from flowstone.blocks import ObjectStore
    from flowstone.ports import Serializer
    from flowstone.records.runs import Kind
    from flowstone.records.specs import Delay, Hook
    from flowstone.results.policies import CachePolicy
    from flowstone.task_runners.base import TaskRunner


class RunnableOptions(TypedDict, total=False):
    """The options that flows and tasks have in common; `OPTIONS` describes them."""

    name: str | None
    version: str | None
    description: str | None
    retries: int | None
    retry_delay_seconds: Delay | None
    timeout_seconds: float | None
    log_prints: bool | None
    persist_result: bool | None
    result_storage: ObjectStore | Path | str | None
    result_serializer: Serializer | str | None
    cache_result_in_memory: bool | None
    on_running: Sequence[Hook] | None
    on_completion: Sequence[Hook] | None
    on_failure: Sequence[Hook] | None
    on_cancellation: Sequence[Hook] | None
    on_crashed: Sequence[Hook] | None


class FlowOptions(RunnableOptions, total=False):
    flow_run_name: str | Callable[..., str] | None
    task_runner: TaskRunner | type[TaskRunner] | str | None
    validate_parameters: bool


class TaskOptions(RunnableOptions, total=False):
    task_run_name: str | Callable[..., str] | None
    tags: Collection[str] | None
    retry_jitter_factor: float | None
    retry_condition_fn: Callable[..., Any] | None
    cache_policy: CachePolicy | None
    cache_key_fn: Callable[..., str | None] | None
    cache_expiration: timedelta | float | None
    refresh_cache: bool | None
    result_storage_key: str | None
    on_commit: Sequence[Hook] | None
    on_rollback: Sequence[Hook] | None
    viz_return_value: Any


def _write_help(kind: Kind) -> str:
    lines = [f"The options of `@{kind}`; an option that is omitted or None has its default.", ""]
    rows = OPTIONS[kind].values()
    lines += [
        "Attributes:",
        *(f"    {row.name}: {row.help} Default: {row.default}." for row in rows),
    ]
    return "\n".join(lines)


FlowOptions.__doc__, TaskOptions.__doc__ = _write_help("flow"), _write_help("task")
