"""What a decorated function says of itself: a `Spec`, the same for flows and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowstone.records.runs import Kind
    from flowstone.records.states import StateType

#: A number of seconds, one for each retry, or a function from the number of retries to those.
Delay = float | Sequence[float] | Callable[[int], Sequence[float]]
#: Called as ``hook(flow_or_task, run, state)``; sync or async.
Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """The options of one flow or task.

    Attributes:
        kind: ``flow`` or ``task``.
        name: of the flow or task, not of its runs.
        run_name: a template over the parameters, or a function that returns a name; None for
            a made-up one.
        retries, retry_delay_seconds: None takes the setting.
        retry_jitter_factor: up to so many times the delay is added to it, at random.
        retry_condition_fn: ``(task, run, state) -> bool``; False gives up at once.
        timeout_seconds: of one attempt; None for no limit.
        cache_policy: what makes two calls of a task the same; None for `DEFAULT`.
        cache_expiration: seconds that a kept result is used for; None for ever.
        refresh_cache: compute anew, and keep that.
        persist_result: keep results; None where the other options decide.
        result_storage, result_serializer: where and how results are kept; None for files in the
            home, in the form that each value calls for.
        result_storage_key: a template of the file's name, in place of a made-up key.
        cache_result_in_memory: False lets go of a value once it is kept in its file.
        on_commit, on_rollback: called with the transaction that a run of the task belongs to.
        viz_return_value: what a drawn flow gets of a task in place of a value; None for a stand-in.
        hooks: called after a state of that type is recorded.
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
