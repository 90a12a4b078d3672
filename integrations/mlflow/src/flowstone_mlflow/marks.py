"""mlflow_task: a task with its own MLflow run, nested in that of its flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from flowstone import task
from flowstone_mlflow.position import MARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone import Task

P = ParamSpec("P")
R = TypeVar("R")


@overload
def mlflow_task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def mlflow_task(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def mlflow_task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Create a task that has its own MLflow run: `task` with the tag ``mlflow``.

    Args:
        fn: the function, if the decorator is used without options.
        options: options of `task`.
    """
    tags = [*(options.pop("tags", None) or ()), MARK]
    made = task(tags=tags, **options)
    return made if fn is None else made(fn)
