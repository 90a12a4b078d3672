"""Runs and facts for the suites of the stores."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Any

from flowstone.records.events import (
    ArtifactVersion,
    Event,
    LogLine,
    make_artifact_event,
    make_birth_event,
    make_change_event,
    make_log_event,
)
from flowstone.records.ids import new_id
from flowstone.records.runs import Fence, Lease, Run
from flowstone.records.states import RUNNING, State

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.states import StateType

#: On another host, so that no store can check whether this holder is alive.
ELSEWHERE = "elsewhere/4711/mark"
LONG = 3600.0


def root_run(name: str = "root", **more: Any) -> Run:
    """Return a running flow run without a parent, with a lease."""
    key = new_id()
    state = more.pop("state", State(RUNNING))
    lease = Lease(f"token-{key}", ELSEWHERE, seconds=LONG)
    fields = {"started": state.at, "created": state.at, "attempt": 1, "lease": lease, **more}
    return Run(key, "flow", name, "unit", key, None, state=state, **fields)


def child_run(root: Run, name: str = "child", **more: Any) -> Run:
    """Return a running task run in the root's tree."""
    state = more.pop("state", State(RUNNING))
    key, kind, unit = new_id(), more.pop("kind", "task"), more.pop("unit", "step")
    started = state.at if state.type is RUNNING else None
    fields = {"started": started, "created": state.at, "attempt": 1, **more}
    return Run(key, kind, name, unit, root.id, root.id, state=state, **fields)


def begin(store: RunStore, name: str = "root", **more: object) -> Run:
    """Create a root run in the store, and return it."""
    root = root_run(name, **more)
    store.create(make_birth_event(root))
    return root


def fence(root: Run) -> Fence:
    """Return the fence under which this root's writer writes."""
    assert root.lease is not None
    return Fence(root.id, root.version, root.lease.token)


def step(run: Run, kind: StateType, message: str | None = None, **more: Any) -> tuple[Event, Run]:
    """Return the fact that a run enters a state, and the run after it."""
    state = State(kind, more.pop("name", ""), message, **more)
    event = make_change_event(run, state, run.attempt)
    return event, run.apply(event.payload)  # type: ignore[arg-type]


def life(run: Run, *kinds: StateType) -> tuple[list[Event], Run]:
    """Return the facts of a run from its creation through these states, and the final run."""
    events = [make_birth_event(run)]
    for kind in kinds:
        event, run = step(run, kind)
        events.append(event)
    return events, run


def line(run: Run, message: str = "hello") -> Event:
    return make_log_event(run, time(), LogLine(20, "flowstone.runs", message))


def artifact(run: Run, data: Any = "# Hello", key: str | None = "report") -> Event:
    return make_artifact_event(
        run, time(), ArtifactVersion(new_id(), "markdown", key, "what it is", data)
    )


def lease_for(run: Run, seconds: float) -> Run:
    """Return the root with a lease of the given seconds."""
    assert run.lease is not None
    return replace(run, lease=replace(run.lease, seconds=seconds))
