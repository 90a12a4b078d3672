"""A run: one execution of a flow or a task, and its changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flowstone.records.record import evolve, fact, field, list_fields, make_reader, record
from flowstone.records.states import RUNNING, SCHEDULED, UNBORN, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from flowstone.records.states import StateType

Kind = Literal["flow", "task"]


@record
class Lease:
    """The right of one process to write a run.

    Leases that differ only by when they were renewed are equal.

    Attributes:
        token: created by each process that takes the run; a batch must contain it.
        holder: the process, as ``host/pid/presence``.
        until: seconds since the epoch by the store's clock; renewed by a heartbeat. 0 once the run
            has ended: the same token then still lets its writer add log lines, and nothing else.
        seconds: in the event that starts a lease, its duration from when the store writes it.
    """

    token: str
    holder: str
    until: float = field(default=0.0, compare=False)
    seconds: float = field(default=0.0, compare=False)


@record
class CodeVersion:
    """The version of a flow's code that a run executes, even if its source changes.

    Attributes:
        source: the source of the code, for display: a directory, or a repository at a commit.
        snapshot: the hash of its files, under which the home stores them; None for code that is not
            pinned, such as an installed package.
        is_workdir: whether a run starts in its copy of the code, unless its job sets a directory.
    """

    source: str
    snapshot: str | None = None
    is_workdir: bool = False

    def __str__(self) -> str:
        if self.snapshot is None:
            return f"not pinned: {self.source}"
        return f"{self.snapshot[:12]} of {self.source}"


@record
class Environment:
    """The packages of a run that has its own Python environment.

    Attributes:
        requirements: as for pip: ``pandas==2.*``.
        file: the file in the code that lists them instead: a requirements file, ``pyproject.toml``
            or ``uv.lock``.
    """

    requirements: tuple[str, ...] = ()
    file: str | None = None

    def __str__(self) -> str:
        return self.file or ", ".join(self.requirements)


@record
class RestartInfo:
    """How a root flow run can be executed again, as known when it was created.

    Attributes:
        entrypoint: the location of its flow: ``package.module:flow`` or ``/path/to/file.py:flow``,
            a relative path in pinned code; None if it can't be loaded again.
        reason: why it can't.
        missing_parameters: the names of parameters whose stored form is not exact, such as secrets.
        code: for a deployment, the version of its code.
        environment: None to execute it with the interpreter of the worker.
    """

    entrypoint: str | None
    reason: str | None = None
    missing_parameters: tuple[str, ...] = ()
    code: CodeVersion | None = None
    environment: Environment | None = None


@fact
class Origin:
    """The fixed properties of a run, set when it is created.

    A field that is added here, or to `Run`, is in the encoding, in the columns of SQL and in each
    change of a run as well: they are derived from these fields, by name. A store on disk needs a
    migration that adds its column.

    Attributes:
        id: sorts by the time of its creation.
        kind: ``flow`` or ``task``.
        name: this run's own name.
        unit: the name of the flow or task.
        root_id: the outermost run, whose process drives this one; its own id for a root.
        parent_id: the run that called this one; None for a root.
        created: seconds since the epoch.
        tags: sorted.
        unit_version: the version that the flow or task declares.
        parameters: the arguments as JSON values, secrets masked; None if they are not stored.
        inputs: ids of the runs whose results were passed to this one; `UNKNOWN` if there may be
            more.
        lease: who may write it; only a root has one. None if the run was ended because its process
            died, if it is suspended, or if it is scheduled.
        recipe: how it can be executed again; only a root flow run has one.
        deployment: its deployment, as ``flow/name``; only a root flow run has one.
        scheduled_time: when it is due, in seconds since the epoch; None for a run that was called.
    """

    id: str
    kind: Kind
    name: str
    unit: str
    root_id: str
    parent_id: str | None
    created: float = 0.0
    tags: tuple[str, ...] = ()
    unit_version: str | None = None
    parameters: Mapping[str, Any] | None = None
    inputs: tuple[str, ...] = ()
    lease: Lease | None = None
    recipe: RestartInfo | None = None
    deployment: str | None = None
    scheduled_time: float | None = None

    def __getstate__(self) -> dict[str, object]:
        return {each.name: getattr(self, each.name) for each in list_fields(type(self))}

    def __setstate__(self, state: dict[str, object] | list[object]) -> None:
        values = state if isinstance(state, dict) else dict(zip(_FIRST, state, strict=False))
        for each in list_fields(type(self)):
            value = values.get(each.name, each.default)
            object.__setattr__(self, each.name, value)

    def make_run(self, state: State, attempt: int) -> Run:
        """Return the run in its first state."""
        started = state.at if state.type is RUNNING else None
        values = (*read_origin(self), state, 1, attempt, started)
        return Run(*values)


@fact
class Run(Origin):
    """One execution of a flow or a task, at one version.

    Attributes:
        state: its current state.
        version: 1 when created, one more with each change.
        attempt: the number of times it was started; 0 before the first.
        started, ended: seconds since the epoch; None if it has not started or ended.
    """

    state: State = UNBORN
    version: int = 1
    attempt: int = 0
    started: float | None = None
    ended: float | None = None

    __getstate__ = Origin.__getstate__
    __setstate__ = Origin.__setstate__

    @property
    def is_root(self) -> bool:
        return self.parent_id is None

    @property
    def state_name(self) -> str:
        return self.state.name

    @property
    def state_type(self) -> StateType:
        return self.state.type

    @property
    def run_count(self) -> int:
        return self.attempt

    @property
    def start_time(self) -> datetime | None:
        return _to_datetime(self.started)

    @property
    def end_time(self) -> datetime | None:
        return _to_datetime(self.ended)

    def origin(self, lease: Lease | None = None) -> Origin:
        """Return the fixed properties of this run, with another lease or none."""
        return evolve(Origin(*read_origin(self)), lease=lease)

    def apply(self, change: StateChange) -> Run:
        """Return this run after the change."""
        state = change.state
        begins = self.started is None and state.type is RUNNING
        return evolve(
            self,
            state=state,
            version=change.version,
            attempt=change.attempt,
            started=state.at if begins else self.started,
            ended=state.at if state.is_final() else None,
        )


#: The fields of a `Run` in pickles of the first versions, by position.
_FIRST = (
    "id", "kind", "name", "unit", "root_id", "parent_id", "state", "version", "attempt",
    "created", "started", "ended", "tags", "unit_version", "parameters", "inputs", "lease",
    "recipe",
)  # fmt: skip
#: Returns the fixed properties of a run or an origin, in the order of `Origin`.
read_origin: Callable[[Origin], tuple[Any, ...]] = make_reader(
    [f.name for f in list_fields(Origin)]
)


def is_waiting(run: Run) -> bool:
    """Return whether a run waits for a process that executes it."""
    return run.is_root and run.state.type is SCHEDULED and run.lease is None


def _to_datetime(seconds: float | None) -> datetime | None:
    # Takes 3 ms to import, and no run of a flow needs it.
    from datetime import UTC, datetime

    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@fact
class StateChange:
    """The change of a run from one version to the next."""

    version: int
    state: State
    attempt: int


@fact
class Handover(StateChange):
    """A root's change that transfers the right to write it to another process, or to none.

    Attributes:
        lease: the new holder's; None if no process holds the run from here on.
    """

    lease: Lease | None


#: Among the inputs of a run, stands for further values that were not inspected.
UNKNOWN = "…"


@record
class Fence:
    """Proves in a batch of events that its writer still owns the root run."""

    root_id: str
    version: int
    token: str


class HeartbeatReply(NamedTuple):
    """The reply to a heartbeat.

    Attributes:
        runs: those whose fence no longer holds, in their current state.
        lost_slots: the tokens that hold no slots any more.
    """

    runs: list[Run]
    lost_slots: list[str]


@record
class RunQuery:
    """A query for runs. Every field that is set must match.

    Attributes:
        ids: only these.
        root_id: the runs of one tree, including its root.
        roots: only roots, which no run has called.
        listed: only what a list of runs shows: flow runs, and task runs outside of any flow.
        states: values of `StateType`, or state names.
        unit: the flow's or task's name; ``*`` matches any characters, and ``?`` one.
        tags: each must be among the run's tags.
        deployments: only runs of these.
        scheduled_until: scheduled for then or before, and not ended.
        created_since: created then or later, in seconds since the epoch.
        created_until: created before that.
        ended_until: ended before that; runs that have not ended don't match.
        newest_first: ordered by id, which is by time of creation.
        after: an id; only runs that come after it in that order, for the next page.
        limit: the maximum number of runs.
    """

    ids: tuple[str, ...] | None = None
    root_id: str | None = None
    roots: bool = False
    listed: bool = False
    states: tuple[str, ...] = ()
    unit: str | None = None
    tags: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    scheduled_until: float | None = None
    created_since: float | None = None
    created_until: float | None = None
    ended_until: float | None = None
    newest_first: bool = False
    after: str | None = None
    limit: int | None = None
