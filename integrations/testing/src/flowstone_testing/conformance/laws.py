"""Hypothesis strategies of the suites, for property tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from flowstone.records.events import (
    EXTERNAL_WORK_ENDED,
    EXTERNAL_WORK_STARTED,
    ArtifactVersion,
    ExternalHandle,
    LogLine,
    make_artifact_event,
    make_birth_event,
    make_change_event,
    make_external_event,
    make_log_event,
)
from flowstone.records.states import COMPLETED, FAILED, PENDING, RUNNING, SCHEDULED, State
from flowstone_testing.conformance.samples import child_run, root_run

if TYPE_CHECKING:
    from flowstone.records.events import Event
    from flowstone.records.runs import Run

#: Settings of property tests: one store serves all examples of a test class.
law = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)

_text = st.text(st.characters(codec="utf-8"), max_size=20)
_moments = st.floats(0, 4e9)
_states: st.SearchStrategy[State] = st.builds(
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
    """Draw the facts of one tree in order: a root, its tasks, lines, artifacts, handles."""
    root = root_run(draw(_text), tags=tuple(sorted(draw(st.sets(_text, max_size=3)))))
    runs: list[Run] = [replace(root, parameters=draw(st.none() | json_objects))]
    events = [make_birth_event(runs[0])]
    for _ in range(draw(st.integers(1, 12))):
        choice = draw(st.integers(0, 4 if len(runs) > 1 else 0))
        if choice == 0:
            run = child_run(root, draw(_text), state=draw(_states), unit_version=draw(_text))
            started = draw(st.sampled_from([run.started, None, 1.5]))
            runs.append(replace(run, started=started, inputs=(root.id,)))
            events.append(make_birth_event(runs[-1]))
        elif choice == 1:
            place = draw(st.integers(1, len(runs) - 1))
            event = make_change_event(runs[place], draw(_states), draw(st.integers(0, 3)))
            runs[place] = runs[place].apply(event.payload)  # type: ignore[arg-type]
            events.append(event)
        elif choice == 2:
            texts = draw(st.tuples(_text, st.just("table"), st.none() | _text, st.none() | _text))
            shown = ArtifactVersion(*texts, draw(_values))
            events.append(make_artifact_event(draw(st.sampled_from(runs)), draw(_moments), shown))
        elif choice == 3:
            handle = ExternalHandle(draw(_text), draw(_text), draw(_text))
            kind = draw(st.sampled_from([EXTERNAL_WORK_STARTED, EXTERNAL_WORK_ENDED]))
            run = draw(st.sampled_from(runs))
            events.append(make_external_event(run, draw(_moments), handle, kind))
        else:
            fields = draw(st.none() | json_objects)
            message = LogLine(draw(st.integers(0, 50)), draw(_text), draw(_text), fields)
            events.append(make_log_event(draw(st.sampled_from(runs)), draw(_moments), message))
    return events
