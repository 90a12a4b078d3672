"""What a decorated function says of itself: a `Spec`, the same for flows and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowstone.records.record import field, record

if TYPE_CHECKING:
    from flowstone.records.runs import Kind
    from flowstone.records.states import StateType

#: A number of seconds, one for each retry, or a function from the number of retries to those.
Delay = float | Sequence[float] | Callable[[int], Sequence[float]]
#: Called as ``hook(flow_or_task, run, state)``; sync or async.
Hook = Callable[..., Any]


@record
class Spec:
    """The options of one flow or task, checked; `FlowOptions` and `TaskOptions` say what each is.

    Attributes:
        kind: ``flow`` or ``task``.
        name: of the flow or task, not of its runs.
        run_name: what is given as `flow_run_name` or `task_run_name`.
        cache_policy: what is given so, or as `cache_key_fn`.
        hooks: what is given as `on_running` and the like, by the state to call them after.
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
        """Tell whether an option only makes sense with kept results; None where none does."""
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
