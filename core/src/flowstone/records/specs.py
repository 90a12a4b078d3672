"""The options of a decorated function: a `Spec`, the same for flows and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowstone.records.record import field, record

if TYPE_CHECKING:
    from flowstone.records.runs import Kind
    from flowstone.records.states import StateType

#: A number of seconds, one per retry, or a function of the number of retries that returns them.
Delay = float | Sequence[float] | Callable[[int], Sequence[float]]
#: Called as ``hook(flow_or_task, run, state)``; sync or async.
Hook = Callable[..., Any]


@record
class Spec:
    """The checked options of a flow or task; `FlowOptions` and `TaskOptions` describe them.

    Attributes:
        kind: ``flow`` or ``task``.
        name: the name of the flow or task, not of its runs.
        run_name: the option `flow_run_name` or `task_run_name`.
        cache_policy: the option `cache_policy` or `cache_key_fn`.
        hooks: the options `on_running` and the like, by the state that they follow.
    """

    kind: Kind
    name: str
    description: str | None = None
    version: str | None = None
    run_name: str | Callable[..., str] | None = None
    tags: frozenset[str] = frozenset()
    retries: int | None = None
    retry_delay_seconds: Delay | None = None
    retry_jitter_factor: float | None = None
    retry_condition_fn: Callable[..., Any] | None = None
    timeout_seconds: float | None = None
    validate_parameters: bool = True
    log_prints: bool | None = None
    cache_policy: Any = None
    cache_expiration: float | None = None
    refresh_cache: bool | None = None
    persist_result: bool | None = None
    result_storage: Any = None
    result_serializer: Any = None
    result_storage_key: str | None = None
    cache_result_in_memory: bool = True
    viz_return_value: Any = None
    on_commit: tuple[Hook, ...] = ()
    on_rollback: tuple[Hook, ...] = ()
    hooks: Mapping[StateType, tuple[Hook, ...]] = field(default_factory=dict)

    @property
    def asks_to_keep(self) -> bool | None:
        """Whether the options ask for persisted results; None if they don't say."""
        if self.cache_policy is not None:
            return bool(self.cache_policy)
        options = (
            self.cache_expiration,
            self.result_storage,
            self.result_serializer,
            self.result_storage_key,
        )
        if any(option is not None for option in options) or not self.cache_result_in_memory:
            return True
        return None
