"""The run that the code is in, with its flow or task: `get_run_context()`."""

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
        flow: the `Flow`; None in a process that a task of it was sent to.
        flow_run: its facts, as they are when they are read.
        parameters: what it was called with, by name.
    """

    flow: Any
    flow_run: FlowRun
    parameters: dict[str, Any]

    @classmethod
    def get(cls) -> Self | None:
        """Return the flow run around this code; None outside one."""
        scope = current_flow()
        if scope is None:
            return None
        facts = FlowRun(lambda: scope)
        return cls(find_unit(scope), facts, facts.parameters)


@dataclass(frozen=True, slots=True)
class TaskRunContext:
    """A task run.

    Attributes:
        task: the `Task`; None in a process that its call was sent to.
        task_run: its facts, as they are when they are read.
        parameters: what it was called with, by name.
    """

    task: Any
    task_run: TaskRun
    parameters: dict[str, Any]

    @classmethod
    def get(cls) -> Self | None:
        """Return the task run that this code is in; None in a flow's own code, and outside."""
        scope = current_task()
        if scope is None:
            return None
        facts = TaskRun(lambda: scope)
        return cls(find_unit(scope), facts, facts.parameters)


@dataclass(frozen=True, slots=True)
class TagsContext:
    """The tags that each run gets which starts here.

    Attributes:
        current_tags: those of all `tags` blocks around this code.
    """

    current_tags: frozenset[str]

    @classmethod
    def get(cls) -> Self:
        """Return the tags around this code; outside of `tags`, there are none."""
        return cls(current.tags.get())


def get_run_context() -> FlowRunContext | TaskRunContext:
    """Return the task run that this code is in, and in a flow's own code the flow run.

    Raises:
        MissingContextError: there is no current run.
    """
    if current.scope.get() is not None:
        context = TaskRunContext.get() or FlowRunContext.get()
        if context is not None:
            return context
    raise MissingContextError("get_run_context()")
