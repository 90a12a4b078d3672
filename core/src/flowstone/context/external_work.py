"""External work of a run: handles of what it started, measures, and recorded task runs.

All of these are events of the current run, written by its only writer, so a run that was cancelled
or taken over adds none.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.context import current
from flowstone.context.current import current_run
from flowstone.context.runtime import snapshot_run
from flowstone.errors import ConfigurationError, MissingContextError
from flowstone.ports.paging import iterate_events, iterate_runs
from flowstone.records.encoding import mask_json
from flowstone.records.events import (
    EXTERNAL_WORK_ENDED,
    EXTERNAL_WORK_STARTED,
    KINDS,
    MEASURED,
    Event,
    ExternalHandle,
    LogLine,
    Measures,
    make_birth_event,
    make_change_event,
    make_external_event,
    make_log_event,
    make_measures_event,
)
from flowstone.records.ids import new_id
from flowstone.records.redaction import redact
from flowstone.records.runs import Fence, Origin, Run, RunQuery, StateChange
from flowstone.records.states import CANCELLED, PENDING, RUNNING, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Units that are a word of a measure's name, as ``bytes_billed``; otherwise the name is the unit.
UNITS = ("bytes", "seconds", "rows", "objects", "credits", "tokens")


# ---------------------------------------------------------------- handles


@dataclass(frozen=True, slots=True)
class ExternalWork:
    """External work, and the run that started it."""

    run_id: str
    handle: ExternalHandle


def record_external_start(kind: str, block: str, handle_id: str) -> ExternalHandle:
    """Record that the current run has started external work; return when that is stored.

    Outside of a run nothing is recorded.

    Args:
        kind: its kind: ``job``, ``query``, ``container`` …
        block: the block that can access it, as ``type/name``; only ``type`` if it was not saved.
        handle_id: the service's id of it.
    """
    handle = ExternalHandle(kind, block, str(handle_id), _count_attempts())
    if (run := current_run()) is not None:
        _append(run, EXTERNAL_WORK_STARTED, handle)
        current.services().journal.flush()
    return handle


def find_left_by_earlier_attempts(block: str) -> list[ExternalHandle]:
    """Return what a block started and left running in earlier attempts.

    Those are attempts of the current run, and of the flow run that called it: for the latter, what
    its other runs started.
    """
    scope, run = current.scope.get(), current_run()
    if scope is None or run is None:
        return []
    owner, attempt = scope.owner.run, snapshot_run(scope).attempt
    owner_attempt = snapshot_run(scope.owner).attempt
    if attempt <= 1 and owner_attempt <= 1:
        return []
    current.services().journal.flush()  # the ends may not be written yet
    left = [work for work, has_ended in read_handles(run.root_id) if not has_ended]
    found = [
        work.handle
        for work in left
        if work.run_id == run.id and work.handle.block == block and work.handle.attempt < attempt
    ]
    if owner.id != run.id and owner_attempt > 1:
        before = _find_begun_before(owner, owner_attempt)
        found += [work.handle for work in left if work in before and work.handle.block == block]
    return found


def _find_begun_before(owner: Run, attempt: int) -> set[ExternalWork]:
    """Return what the runs that a flow run called started before one of its attempts."""
    begun: set[ExternalWork] = set()
    running = KINDS[owner.kind][RUNNING]
    for event in _read_facts(owner.root_id, EXTERNAL_WORK_STARTED, running):
        if isinstance(event.payload, ExternalHandle):
            begun.add(ExternalWork(event.run_id, event.payload))
        elif (
            event.run_id == owner.id
            and isinstance(event.payload, StateChange)
            and event.payload.attempt >= attempt
        ):
            break
    runs = current.services().runs
    callers = {run_id: runs.run(run_id).parent_id for run_id in {work.run_id for work in begun}}
    return {work for work in begun if callers[work.run_id] == owner.id}


def _count_attempts() -> int:
    scope = current.scope.get()
    return 1 if scope is None else snapshot_run(scope).attempt


def record_external_end(handle: ExternalHandle) -> None:
    """Record that external work has ended; outside of a run, do nothing."""
    if (run := current_run()) is not None:
        _append(run, EXTERNAL_WORK_ENDED, handle)


def record_end_of_left_behind(root: Run, work: ExternalWork) -> None:
    """Record from any process that external work of a finished run has ended."""
    services = current.services()
    now = services.clock.time()
    event = Event(new_id(), EXTERNAL_WORK_ENDED, work.run_id, root.id, now, work.handle)
    services.runs.append([event], Fence(root.id, root.version, ""))


def _append(run: Run, kind: str, handle: ExternalHandle) -> None:
    services = current.services()
    services.journal.append(make_external_event(run, services.clock.time(), handle, kind))


def read_handles(root_id: str) -> list[tuple[ExternalWork, bool]]:
    """Return the external work of a tree of runs, oldest first, and whether it has ended."""
    begun: dict[ExternalHandle, str] = {}
    ended: set[ExternalHandle] = set()
    for event in _read_facts(root_id, EXTERNAL_WORK_STARTED, EXTERNAL_WORK_ENDED):
        if isinstance(event.payload, ExternalHandle):
            begun.setdefault(event.payload, event.run_id)
            # Any run may have recorded it, such as one that waited.
            if event.kind == EXTERNAL_WORK_ENDED:
                ended.add(event.payload)
    return [(ExternalWork(run_id, handle), handle in ended) for handle, run_id in begun.items()]


def find_open_handles(run: Run) -> list[ExternalWork]:
    """Return external work that a run, or a run it called, left running.

    For a root, that of its whole tree; for another run, its own.
    """
    return [
        work
        for work, has_ended in read_handles(run.root_id)
        if not has_ended and (run.is_root or work.run_id == run.id)
    ]


# ---------------------------------------------------------------- measures


def record_measures(measures: Mapping[str, float] | None = None, /, **more: float) -> None:
    """Record measures of the current run's work; `run show` has the sums of a flow.

    Outside of a run nothing is recorded.

    A measure's unit is a word of its name, as in ``bytes_billed``, ``rows_read`` and
    ``queue_seconds``; otherwise it is the name itself, as ``credits``. Repeated values are added.

    Args:
        measures: values by name.
        **more: further values by name.

    Raises:
        ConfigurationError: a value is not a finite number.
    """
    values = {**(measures or {}), **more}
    run = current_run()
    measured = _check_measures(values)
    if run is not None:
        services = current.services()
        services.journal.append(make_measures_event(run, services.clock.time(), measured))


def _check_measures(values: Mapping[str, float]) -> Measures:
    for name, value in values.items():
        if type(value) not in {int, float} or not math.isfinite(value):
            problem = f"{value!r} is not a finite number"
            raise ConfigurationError(f"measure {name!r}", problem, "Record an int or a float.")
    return Measures(dict(values), {name: _find_unit(name) for name in values})


def _find_unit(name: str) -> str:
    words = name.split("_")
    return next((unit for unit in UNITS if unit in words), name)


def sum_measures(root_id: str, run_ids: set[str] | None = None) -> dict[str, tuple[float, str]]:
    """Return the total measures of runs of a tree: by name, the sum and its unit.

    Args:
        root_id: the root of the tree.
        run_ids: the runs to add up; None for all of the tree.
    """
    sums: dict[str, float] = {}
    units: dict[str, str] = {}
    for event in _read_facts(root_id, MEASURED):
        if isinstance(event.payload, Measures) and (run_ids is None or event.run_id in run_ids):
            for name, value in event.payload.values.items():
                sums[name] = sums.get(name, 0) + value
                units[name] = event.payload.units.get(name, name)
    return {name: (sums[name], units[name]) for name in sums}


def _read_facts(root_id: str, *kinds: str) -> Iterator[Event]:
    yield from iterate_events(current.services().runs, root_id=root_id, kinds=kinds)


# ---------------------------------------------------------------- task runs of other tools


def record_task_run(
    name: str,
    state: State,
    *,
    started: float,
    ended: float,
    logs: Sequence[str | tuple[int, str]] = (),
    inputs: Sequence[str] = (),
    measures: Mapping[str, float] | None = None,
    parameters: Mapping[str, object] | None = None,
) -> str:
    """Record a task run that another tool executed, such as a node of dbt.

    It is a task run of the current run like any other: listed, drawn, and ended once. It has the
    current tags; with ``data-test`` it is drawn as a badge of the run that it tests, which is the
    last of its inputs.

    Args:
        name: the name of the task and the run.
        state: its final state.
        started: seconds since the epoch.
        ended: seconds since the epoch.
        logs: lines of its log; those of a level other than INFO as (level, line).
        inputs: ids of the runs whose results are its inputs.
        measures: as for `record_measures`.
        parameters: its parameters, as JSON values; a retry identifies the run by them.

    Returns:
        The id of the task run.

    Raises:
        ConfigurationError: the state is not final, or it ended before it started.
        MissingContextError: there is no current run.
    """
    parent = current_run()
    if parent is None:
        raise MissingContextError("recording a task run")
    what = f"task run {name!r}"
    if not state.is_final():
        remedy = "Pass a final state: Completed, Failed, Crashed, Cancelled or Skipped."
        raise ConfigurationError(what, f"the state {state.name} is not final", remedy)
    if ended < started:
        remedy = "Pass both in seconds since the epoch."
        raise ConfigurationError(what, "`ended` is before `started`", remedy)
    shown = redact(name)
    origin = Origin(
        id=new_id(),
        kind="task",
        name=shown,
        unit=shown,
        root_id=parent.root_id,
        parent_id=parent.id,
        created=started,
        tags=tuple(sorted(map(redact, current.tags.get()))),
        parameters=parameters and {key: mask_json(value) for key, value in parameters.items()},
        inputs=tuple(dict.fromkeys(inputs)),
    )
    has_run = not (state.type is CANCELLED and state.name == "Skipped")
    birth = State(RUNNING if has_run else PENDING, at=started)
    run = origin.make_run(birth, int(has_run))
    message = None if state.message is None else redact(state.message)
    end = State(state.type, state.name, message, ended)
    facts = [make_birth_event(run)]
    lines = [(logging.INFO, line) if isinstance(line, str) else line for line in logs]
    facts += [make_log_event(run, ended, LogLine(level, shown, text)) for level, text in lines]
    if measures:
        facts.append(make_measures_event(run, ended, _check_measures(measures)))
    facts.append(make_change_event(run, end, run.attempt))
    for fact in facts:
        current.services().journal.append(fact)
    return run.id


def find_recorded_task_runs() -> list[Run]:
    """Return what earlier attempts recorded with `record_task_run`, oldest first.

    These are the task runs of the current run's earlier attempts, and of earlier attempts of the
    flow run that called it, if it is executed again. Only those with parameters are returned.
    """
    scope, run = current.scope.get(), current_run()
    if scope is None or run is None:
        return []
    owner, attempts = scope.owner.run, {run.id: snapshot_run(scope).attempt}
    attempts[owner.id] = snapshot_run(scope.owner).attempt
    again = {run_id: attempt for run_id, attempt in attempts.items() if attempt > 1}
    if not again:
        return []
    services = current.services()
    services.journal.flush()
    before = _find_task_runs_before(run.root_id, again)
    parents: dict[str, str | None] = {}
    with_parameters: list[Run] = []
    for each in iterate_runs(services.runs, RunQuery(root_id=run.root_id)):
        parents[each.id] = each.parent_id
        if each.parameters:
            with_parameters.append(each)

    def is_earlier(each: Run) -> bool:
        if each.id in before.get(run.id, ()):
            return each.parent_id == run.id
        callers = (each.parent_id, parents.get(each.parent_id or ""))
        return each.id in before.get(owner.id, ()) and owner.id in callers

    return [each for each in with_parameters if is_earlier(each)]


def _find_task_runs_before(root_id: str, attempts: Mapping[str, int]) -> dict[str, set[str]]:
    """Return the task runs that were created before a given attempt of each of some runs."""
    births, started = set(KINDS["task"].values()), {kind[RUNNING] for kind in KINDS.values()}
    born: set[str] = set()
    before: dict[str, set[str]] = {}
    for event in _read_facts(root_id, *births, *started):
        payload = event.payload
        if isinstance(payload, Run):
            born.add(payload.id)
        elif isinstance(payload, StateChange):
            attempt = attempts.get(event.run_id)
            if attempt is not None and payload.attempt >= attempt:
                before.setdefault(event.run_id, set(born))
    return before
