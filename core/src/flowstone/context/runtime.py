"""Properties of the current run: `flow_run`, `task_run` and `deployment`, read on access.

Outside of a run every property is None, except for `tags`, `parameters` and `run_count`, which are
empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.context import current
from flowstone.records.runs import Origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flowstone.context.current import Scope
    from flowstone.ports import CallRequest, CurrentRun
    from flowstone.records.codec import Json
    from flowstone.records.runs import Run
    from flowstone.records.states import State, StateType


def current_flow() -> Scope | None:
    """Return the flow run around this code."""
    return find_flow_around(current.scope.get())


def current_task() -> Scope | None:
    """Return the task run that this code is in; None in a flow's own code."""
    scope = current.scope.get()
    return scope if scope is not None and snapshot_run(scope).origin.kind == "task" else None


def find_flow_around(scope: Scope | None) -> Scope | None:
    """Return the nearest flow run at or above a run."""
    while scope is not None and snapshot_run(scope.owner).origin.kind != "flow":
        scope = scope.owner.caller
    return None if scope is None else scope.owner


class SentRun(NamedTuple):
    """A run as it was when it was sent to another process; implements the port `CurrentRun`."""

    origin: Origin
    attempt: int
    state: State
    token: str | None = None

    @property
    def time(self) -> None:
        """None: the clock is in the process that drives the tree."""


def snapshot_run(scope: Scope) -> CurrentRun:
    """Return the run's current state; in a process that it was sent to, that of the sending."""
    found: CurrentRun | None = getattr(scope, "current", None)
    if found is not None:
        return found
    run = scope.run
    return SentRun(run.origin(), run.attempt, run.state)


def find_unit(scope: Scope) -> Any:
    """Return the flow or task itself; None in a process that its call was sent to."""
    asked: CallRequest | None = getattr(scope, "request", None)
    return None if asked is None else asked.unit


class _Facts:
    """The properties of the run that `find` returns, at the time of access."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[], Scope | None]) -> None:
        self._find = find

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @property
    def _origin(self) -> Origin | None:
        scope = self._find()
        return None if scope is None else snapshot_run(scope).origin

    @property
    def id(self) -> str | None:
        origin = self._origin
        return None if origin is None else origin.id

    @property
    def name(self) -> str | None:
        origin = self._origin
        return None if origin is None else origin.name

    @property
    def tags(self) -> list[str]:
        origin = self._origin
        return [] if origin is None else list(origin.tags)

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments by name, including defaults, as the original objects."""
        scope = self._find()
        if scope is None:
            return {}
        asked: CallRequest | None = getattr(scope, "request", None)
        if scope.arguments or asked is None:
            return dict(scope.arguments)
        found: dict[str, Any] = asked.unit.parameters.bind_known(asked.args, asked.kwargs)
        return found

    @property
    def run_count(self) -> int:
        """The number of times the run was started: 1 in its first attempt."""
        scope = self._find()
        return 0 if scope is None else snapshot_run(scope).attempt

    @property
    def state(self) -> State | None:
        """The state of the run."""
        scope = self._find()
        return None if scope is None else snapshot_run(scope).state

    @property
    def state_name(self) -> str | None:
        """The name of the run's state: ``Running``."""
        state = self.state
        return None if state is None else state.name

    @property
    def state_type(self) -> StateType | None:
        """The type of the run's state."""
        state = self.state
        return None if state is None else state.type

    @property
    def start_time(self) -> datetime | None:
        """When the run was first started; in another process, when this attempt was."""
        scope = self._find()
        if scope is None:
            return None
        found: Run | None = getattr(snapshot_run(scope), "run", None)
        state = snapshot_run(scope).state
        return state.timestamp if found is None else found.start_time

    @property
    def api_url(self) -> str | None:
        return None

    @property
    def ui_url(self) -> str | None:
        return None


class FlowRun(_Facts):
    """The properties of a flow run."""

    __slots__ = ()

    @property
    def flow_name(self) -> str | None:
        origin = self._origin
        return None if origin is None else origin.unit

    @property
    def flow_version(self) -> str | None:
        origin = self._origin
        return None if origin is None else origin.unit_version

    @property
    def task_runner(self) -> object:
        """The task runner of the flow; None in a worker process of a task."""
        scope = self._find()
        return None if scope is None else getattr(find_unit(scope), "task_runner", None)

    @property
    def scheduled_start_time(self) -> datetime | None:
        """The scheduled start time; for a run that was called, the time of the call."""
        # Takes 2 ms to import, which most programs save.
        from datetime import UTC, datetime

        origin = self._origin
        if origin is None:
            return None
        due = origin.scheduled_time
        return datetime.fromtimestamp(origin.created if due is None else due, UTC)

    @property
    def parent_flow_run_id(self) -> str | None:
        """The id of the flow run that called it, directly or through a task."""
        scope = self._find()
        if scope is None:
            return None
        if scope.caller is None:  # the outermost, or sent to another process
            return snapshot_run(scope).origin.parent_id
        above = find_flow_around(scope.caller)
        return None if above is None else snapshot_run(above).origin.id

    @property
    def root_flow_run_id(self) -> str | None:
        """The id of the outermost flow run; its own if no other called it."""
        scope = self._find()
        while scope is not None and (above := find_flow_around(scope.caller)) is not None:
            scope = above
        if scope is None:
            return None
        origin = snapshot_run(scope).origin
        return origin.root_id if scope.caller is None else origin.id

    @property
    def parent_deployment_id(self) -> str | None:
        return None

    @property
    def job_variables(self) -> dict[str, object] | None:
        return None


class TaskRun(_Facts):
    """The properties of a task run."""

    __slots__ = ()

    @property
    def task_name(self) -> str | None:
        origin = self._origin
        return None if origin is None else origin.unit

    @property
    def flow_run_id(self) -> str | None:
        """The id of the flow run around it."""
        flow = find_flow_around(self._find())
        return None if flow is None else snapshot_run(flow).origin.id


class DeploymentFacts:
    """The properties of the deployment that the run comes from."""

    __slots__ = ()

    @property
    def id(self) -> str | None:
        found = self._load().get("id")
        return None if found is None else str(found)

    @property
    def name(self) -> str | None:
        """Its own name, without that of the flow."""
        full_name = self._full_name
        return None if full_name is None else full_name.partition("/")[2]

    @property
    def version(self) -> str | None:
        found = self._load().get("version")
        return None if found is None else str(found)

    @property
    def flow_run_id(self) -> str | None:
        """The id of the deployment's run."""
        return None if self._full_name is None else flow_run.root_flow_run_id

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the deployment, which its schedule or the run may have overridden."""
        return dict(self._load().get("parameters", {}))

    @property
    def _full_name(self) -> str | None:
        scope = current_flow()
        while scope is not None and (above := find_flow_around(scope.caller)) is not None:
            scope = above
        return None if scope is None else snapshot_run(scope).origin.deployment

    def _load(self) -> Json:
        """Return the deployment's document; an empty one if there is none, or if it was deleted."""
        if (full_name := self._full_name) is None:
            return {}
        # Takes 5 ms to import; only needed by runs of deployments that use this.
        from flowstone.records.deployments import KIND

        found = current.services().documents.find(KIND, names=[full_name])
        return dict(found[0].body) if found else {}


flow_run = FlowRun(current_flow)
task_run = TaskRun(current_task)
deployment = DeploymentFacts()
