"""The current run with its flow or task: `get_run_context()`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from flowstone.context import current
from flowstone.context.runtime import FlowRun, TaskRun, current_flow, current_task, find_unit
from flowstone.context.tags import tags
from flowstone.errors import MissingContextError

__all__ = ["FlowRunContext", "TagsContext", "TaskRunContext", "get_run_context", "tags"]


@dataclass(frozen=True, slots=True)
class FlowRunContext:
    """A flow run.

    Attributes:
        flow: the `Flow`; None in a worker process of one of its tasks.
        flow_run: its properties, which are current when they are read.
        parameters: its arguments by name.
    """

    flow: Any
    flow_run: FlowRun
    parameters: dict[str, Any]

    @classmethod
    def get(cls) -> Self | None:
        """Return the flow run around this code; None outside of one."""
        scope = current_flow()
        if scope is None:
            return None
        facts = FlowRun(lambda: scope)
        return cls(find_unit(scope), facts, facts.parameters)


@dataclass(frozen=True, slots=True)
class TaskRunContext:
    """A task run.

    Attributes:
        task: the `Task`; None in a worker process of its call.
        task_run: its properties, which are current when they are read.
        parameters: its arguments by name.
    """

    task: Any
    task_run: TaskRun
    parameters: dict[str, Any]

    @classmethod
    def get(cls) -> Self | None:
        """Return the task run that this code is in; None in a flow's code, and outside a run."""
        scope = current_task()
        if scope is None:
            return None
        facts = TaskRun(lambda: scope)
        return cls(find_unit(scope), facts, facts.parameters)


@dataclass(frozen=True, slots=True)
class TagsContext:
    """The tags of each run that starts here.

    Attributes:
        current_tags: those of all `tags` blocks around this code.
    """

    current_tags: frozenset[str]

    @classmethod
    def get(cls) -> Self:
        """Return the tags around this code; outside of `tags`, there are none."""
        return cls(current.tags.get())


def get_run_context() -> FlowRunContext | TaskRunContext:
    """Return the task run that this code is in, or in a flow's own code the flow run.

    Raises:
        MissingContextError: there is no current run.
    """
    if current.scope.get() is not None:
        context = TaskRunContext.get() or FlowRunContext.get()
        if context is not None:
            return context
    raise MissingContextError("get_run_context()")
