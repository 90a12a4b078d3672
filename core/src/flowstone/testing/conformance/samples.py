"""Runs, facts and strategies that the suites of the stores use."""

from __future__ import annotations

from dataclasses import replace
from time import time
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from flowstone.events import Event, Line, born, changed, written
from flowstone.ids import new_id
from flowstone.runs import Fence, Lease, Run
from flowstone.states import COMPLETED, FAILED, PENDING, RUNNING, SCHEDULED, State

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.states import StateType

#: On another host, so that no store can see whether this holder lives.
ELSEWHERE = "elsewhere/4711/mark"
LONG = 3600.0

#: For tests of laws: one store serves all examples, in each class that joins the suite.
law = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)


def root_run(name: str = "root", **more: Any) -> Run:
    """Return a flow run that nobody called, running, with a lease."""
    key = new_id()
    state = more.pop("state", State(RUNNING))
    lease = Lease(f"token-{key}", ELSEWHERE, time() + LONG)
    fields = {"started": state.at, "created": state.at, "attempt": 1, "lease": lease, **more}
    return Run(key, "flow", name, "unit", key, None, state, **fields)


def child_run(root: Run, name: str = "child", **more: Any) -> Run:
    """Return a task run of the root's tree, running."""
    state = more.pop("state", State(RUNNING))
    key, kind, unit = new_id(), more.pop("kind", "task"), more.pop("unit", "step")
    started = state.at if state.type is RUNNING else None
    fields = {"started": started, "created": state.at, "attempt": 1, **more}
    return Run(key, kind, name, unit, root.id, root.id, state, **fields)


def begin(store: RunStore, name: str = "root", **more: Any) -> Run:
    """Create a root run in the store, and return it."""
    root = root_run(name, **more)
    store.create(born(root))
    return root


def fence(root: Run) -> Fence:
    """Return what lets this root's writer write."""
    assert root.lease is not None
    return Fence(root.id, root.version, root.lease.token)


def step(run: Run, kind: StateType, message: str | None = None, **more: Any) -> tuple[Event, Run]:
    """Return the fact that a run goes into a state, and the run after it."""
    state = State(kind, more.pop("name", ""), message, **more)
    event = changed(run, state, run.attempt)
    return event, run.after(event.payload)  # type: ignore[arg-type]


def life(run: Run, *kinds: StateType) -> tuple[list[Event], Run]:
    """Return the facts of a run from its birth through these states, and the run after them."""
    events = [born(run)]
    for kind in kinds:
        event, run = step(run, kind)
        events.append(event)
    return events, run


def line(run: Run, message: str = "hello") -> Event:
    return written(run, time(), Line(20, "flowstone.runs", message))


def at_most(run: Run, seconds: float) -> Run:
    """Return the root with a lease that ends at that time."""
    assert run.lease is not None
    return replace(run, lease=replace(run.lease, until=seconds))


_text = st.text(st.characters(codec="utf-8"), max_size=20)
_moments = st.floats(0, 4e9)
_states = st.builds(
    State,
    st.sampled_from([SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED]),
    _text,
    st.none() | _text,
    _moments,
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
json_objects = st.dictionaries(_text, _values, max_size=4)


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw the facts of one tree in their order: its root's birth, then tasks and log lines."""
    root = root_run(draw(_text), tags=tuple(sorted(draw(st.sets(_text, max_size=3)))))
    runs: list[Run] = [replace(root, parameters=draw(st.none() | json_objects))]
    events = [born(runs[0])]
    for _ in range(draw(st.integers(1, 12))):
        choice = draw(st.integers(0, 2 if len(runs) > 1 else 0))
        if choice == 0:
            run = child_run(root, draw(_text), state=draw(_states), unit_version=draw(_text))
            started = draw(st.sampled_from([run.started, None, 1.5]))
            runs.append(replace(run, started=started, inputs=(root.id,)))
            events.append(born(runs[-1]))
        elif choice == 1:
            place = draw(st.integers(1, len(runs) - 1))
            event = changed(runs[place], draw(_states), draw(st.integers(0, 3)))
            runs[place] = runs[place].after(event.payload)  # type: ignore[arg-type]
            events.append(event)
        else:
            message = Line(draw(st.integers(0, 50)), draw(_text), draw(_text))
            events.append(written(draw(st.sampled_from(runs)), draw(_moments), message))
    return events
