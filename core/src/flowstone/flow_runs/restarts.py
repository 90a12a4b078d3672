"""Execute flow runs again, and resume paused or suspended ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, cast

from flowstone.context.current import services
from flowstone.context.external_work import find_open_handles
from flowstone.engine.blocking_calls import PATIENCE, call_blocking
from flowstone.engine.recorder import Takeover, make_lease
from flowstone.errors import (
    ConfigurationError,
    Conflict,
    InputInvalid,
    NotPaused,
    NotRepeatable,
    PauseTimeout,
)
from flowstone.flow_runs import requests
from flowstone.flow_runs.pauses import (
    apause_flow_run,
    asuspend_flow_run,
    pause_flow_run,
    suspend_flow_run,
)
from flowstone.flow_runs.pinned_code import load_pinned_flow
from flowstone.logging.run_logger import get_logger
from flowstone.records.encoding import describe_as_json
from flowstone.records.events import make_change_event, make_handover_event
from flowstone.records.runs import RestartInfo
from flowstone.records.states import (
    CANCELLED,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    AwaitingRetry,
    Failed,
    Resuming,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowstone.calls.flow import Flow
    from flowstone.flow_runs.requests import Question
    from flowstone.records.events import Event
    from flowstone.records.runs import Run
    from flowstone.records.states import State

Arguments = Mapping[str, Any]

__all__ = [
    "apause_flow_run",
    "aresume_flow_run",
    "aretry_flow_run",
    "asuspend_flow_run",
    "pause_flow_run",
    "resume_flow_run",
    "retry_flow_run",
    "suspend_flow_run",
]

#: Seconds in which a process must continue with the input of a resumed run.
_PATIENCE = 10.0
_LOOK_EVERY = 0.1


def retry_flow_run(
    run: str, parameters: Arguments | None = None, *, entrypoint: str | None = None
) -> State:
    """Retry a failed, crashed or cancelled run: execute it again here, under the same id.

    Tasks whose results are persisted by `RUN_ID`, as by the default cache policy, don't run again.
    External work that the run left running, such as a job, is cancelled first.

    Args:
        run: its id, a part of it, or its name.
        parameters: new values of parameters, by name.
        entrypoint: the new entrypoint of its flow; None if that has not changed.

    Returns:
        The final state; a failure of the flow is not raised.

    Raises:
        RunNotFound: there is no such run.
        NotRepeatable: it is part of another run, has not ended or has completed, its flow can't be
            loaded, its parameters can't be restored, or another process was first.
    """
    _end_left_behind(run)
    return _run_to_end(_retry(run, parameters or {}, entrypoint))


async def aretry_flow_run(
    run: str, parameters: Arguments | None = None, *, entrypoint: str | None = None
) -> State:
    """Async version of `retry_flow_run`, for an async flow on a running event loop."""
    await call_blocking(_end_left_behind, run)
    state = await call_blocking(_retry, run, parameters or {}, entrypoint, patience=PATIENCE)
    return await state if iscoroutine(state) else state  # type: ignore[no-any-return]


def resume_flow_run(
    flow_run_id: str,
    run_input: object = None,
    *,
    parameters: Arguments | None = None,
    entrypoint: str | None = None,
) -> State:
    """Resume a run: let a paused one continue, and execute a suspended one again, here.

    Args:
        flow_run_id: its id, a part of it, or its name.
        run_input: the input that it waits for, by field; or an instance of its model.
        parameters: for a suspended run, new values of parameters, by name.
        entrypoint: for a suspended run, the new entrypoint of its flow; None if that has not
            changed.

    Returns:
        The state of a paused run as it continues, or the final state of a suspended one.

    Raises:
        RunNotFound: there is no such run.
        NotPaused: it is not waiting, or another process was first.
        InputInvalid: the input is not valid; the run is still waiting.
        NotRepeatable: it is suspended, and can't be executed again.
        PauseTimeout: it is suspended, and its timeout has expired.
    """
    return _run_to_end(_resume(flow_run_id, run_input, parameters or {}, entrypoint))


async def aresume_flow_run(
    flow_run_id: str,
    run_input: object = None,
    *,
    parameters: Arguments | None = None,
    entrypoint: str | None = None,
) -> State:
    """Async version of `resume_flow_run`, for an async flow on a running event loop."""
    call = partial(_resume, flow_run_id, run_input, parameters or {}, entrypoint)
    state = await call_blocking(call, patience=PATIENCE)
    return await state if iscoroutine(state) else state  # type: ignore[no-any-return]


def _run_to_end(state: Any) -> State:
    if iscoroutine(state):
        # Takes 40 ms to import, and most programs don't need it.
        import asyncio

        state = asyncio.run(state)
    return state  # type: ignore[no-any-return]


def find_waiting_run(ref: str) -> tuple[Run, Question | None]:
    """Return a run that waits to be resumed, and its question.

    Raises:
        RunNotFound: there is no such run.
        NotPaused: it is not waiting.
        PauseTimeout: it is suspended, and its timeout has expired; the run has failed.
    """
    current = services()
    now = current.clock.time()
    current.runs.reap()
    run = current.runs.run(ref)
    if run.state.type is not PAUSED:
        remedy = _LOOK
        if run.state.is_final() and run.state.type is not COMPLETED:
            remedy = f"Execute it again: `flowstone run retry {run.id[-12:]}`."
        raise NotPaused(run.name, run.state.name, remedy)
    question = requests.find_open_question(run.id)
    is_suspended = run.is_root and run.lease is None
    if is_suspended and question and question.until is not None and question.until < now:
        allowed = question.until - question.asked
        late = PauseTimeout(run.name, allowed, was_suspended=True)
        current.runs.record(make_change_event(run, Failed(str(late)), run.attempt))
        raise late
    return run, question


def _resume(ref: str, run_input: object, parameters: Arguments, entrypoint: str | None) -> Any:
    run, question = find_waiting_run(ref)
    given = _check_input(run, question, run_input)
    current = services()
    if not (run.is_root and run.lease is None):
        event = make_change_event(run, Resuming(), run.attempt)
        _answer(question, event, given)
        try:
            current.runs.record(event)
        except Conflict as conflict:
            raise _make_late_error(run, question, event, conflict) from conflict
        return _wait_until_resumed(run, question)
    flow, arguments = load_call(run, parameters, entrypoint)
    event = make_handover_event(run, Resuming(), make_lease(current))
    _answer(question, event, given)
    late = partial(_make_late_error, run, question, event)
    return _execute(flow, Takeover(run, event), arguments, late)


def _check_input(run: Run, question: Question | None, run_input: object) -> Arguments | None:
    """Return the input as JSON values after validation."""
    schema = None if question is None else question.schema
    if run_input is None and schema is None:
        return None
    # Importing pydantic takes 40 ms; only a run that asks for input needs it.
    from flowstone.flow_runs.schemas import dump_plain, find_misfits

    given = dump_plain({} if run_input is None else run_input)
    if schema is None:
        raise InputInvalid(run.name, dict.fromkeys(given, "it asks for no input"))
    if not isinstance(given, dict):
        given = {"value": given}
    if problems := find_misfits(schema, given):
        raise InputInvalid(run.name, problems)
    return given


def _answer(question: Question | None, event: Event, given: Arguments | None) -> None:
    if question is not None:
        requests.answer(question, event.id, given)


def _make_late_error(
    run: Run, question: Question | None, event: Event, conflict: Conflict
) -> NotPaused:
    if question is not None:
        requests.withdraw(question, event.id)
    return NotPaused(run.name, _describe_now(conflict), f"Another process was faster. {_LOOK}")


def _describe_now(conflict: Conflict) -> str:
    return f"{cast('Run', conflict.actual).state.name} now"


def _execute(
    flow: Flow[..., object],
    takeover: Takeover,
    arguments: Arguments,
    late: Callable[[Conflict], Exception],
) -> object:
    """Execute a run again; return its final state, or a coroutine that does.

    Args:
        flow: the run's flow.
        takeover: the run, and the event of its takeover.
        arguments: the arguments by name.
        late: creates the error if another process was first.
    """
    try:
        state = flow.run_again(takeover, arguments)
    except Conflict as conflict:
        raise late(conflict) from conflict
    return _await_state(state, late) if iscoroutine(state) else state


async def _await_state(state: Awaitable[State], late: Callable[[Conflict], Exception]) -> State:
    try:
        return await state
    except Conflict as conflict:
        raise late(conflict) from conflict


def _wait_until_resumed(run: Run, question: Question | None) -> State:
    """Wait until the run's own process has validated the input, and return the run's state.

    Raises:
        InputInvalid: its model has refused what the schema allows.
    """
    current = services()
    until = current.clock.monotonic() + _PATIENCE
    while True:
        found = current.runs.run(run.id)
        if found.state.name != "Resuming" or current.clock.monotonic() > until:
            break
        current.clock.sleep(_LOOK_EVERY)
    if found.state.type is PAUSED and question is not None:
        again = requests.find_question(run.id, question.key)
        if again is not None and again.problems:
            raise InputInvalid(run.name, again.problems)
    return found.state


def _end_left_behind(ref: str) -> None:
    current = services()
    current.runs.reap()
    run = current.runs.run(ref)
    if not run.state.is_final() or not find_open_handles(run):
        return
    # Loads the packages of the blocks that started it, so only if there is something to cancel.
    from flowstone.flow_runs.cleanup import cleanup_flow_run

    for cleanup in cleanup_flow_run(run.id):
        if cleanup.error is not None:
            get_logger("runs").warning(
                "could not cancel %s, which may still be running: %s",
                cleanup.work.handle,
                cleanup.error,
            )


def _retry(ref: str, parameters: Arguments, entrypoint: str | None) -> Any:
    current = services()
    current.runs.reap()
    run = current.runs.run(ref)
    _check_end(run)
    flow, arguments = load_call(run, parameters, entrypoint)
    state = AwaitingRetry("to be executed again, by hand")
    event = make_handover_event(run, state, make_lease(current))

    def make_error(conflict: Conflict) -> NotRepeatable:
        problem = f"it is {_describe_now(conflict)}: another process was faster"
        return NotRepeatable(run.name, problem, _LOOK)

    return _execute(flow, Takeover(run, event), arguments, make_error)


_LOOK = "Look at it with `flowstone run show`."


def _check_end(run: Run) -> None:
    """Refuse a run that can't be retried, and say what to do instead."""
    short, state = run.id[-12:], run.state
    if not run.is_root:
        root = run.root_id[-12:]
        problem = f"it is a part of the run {root}, which is executed as a whole"
        raise NotRepeatable(run.name, problem, f"Retry that: `flowstone run retry {root}`.")
    if run.kind != "flow":
        raise NotRepeatable(run.name, "it is a task run outside any flow", "Call the task again.")
    if state.type in {FAILED, CRASHED, CANCELLED}:
        return
    remedies = {
        COMPLETED: "Start a new run: `flowstone run start`.",
        PAUSED: f"Resume it: `flowstone run resume {short}`.",
    }
    cancel = f"Wait for its end, or ask for that: `flowstone run cancel {short}`."
    raise NotRepeatable(run.name, f"it is {state.name}", remedies.get(state.type, cancel))


def load_call(
    run: Run, parameters: Arguments, entrypoint: str | None
) -> tuple[Flow[..., Any], dict[str, Any]]:
    """Return the flow of a run, and the arguments for it.

    Raises:
        NotRepeatable: they can't be loaded; the message says what to pass.
    """
    recipe = run.recipe
    _check_kept(run, recipe, parameters)
    flow = _load_flow(run, recipe, entrypoint)
    arguments = {**(run.parameters or {}), **flow.parameters.read(parameters)}
    args, kwargs = flow.parameters.rebind(arguments)
    bound = flow.parameters.bind(args, kwargs)
    if flow.spec.validate_parameters:
        flow.parameters.validate(bound)
        _check_restored(run, bound.arguments, parameters)
    return flow, arguments


def _check_restored(run: Run, restored: Arguments, parameters: Arguments) -> None:
    """Refuse values that the validators of their types have changed a second time."""
    known = run.parameters or {}
    for name in (restored.keys() & known.keys()) - parameters.keys():
        if _sort(describe_as_json(restored[name])) != _sort(known[name]):
            problem = f"the validators of parameter {name!r} change the recorded value"
            remedy = f"Pass it again: --param {name}=…"
            raise NotRepeatable(run.name, problem, remedy)


def _sort(value: object) -> object:
    """Return a JSON value with its lists sorted: sets have no order."""
    if isinstance(value, dict):
        return {name: _sort(item) for name, item in value.items()}
    return sorted(map(_sort, value), key=repr) if isinstance(value, list) else value


def _check_kept(run: Run, recipe: RestartInfo | None, parameters: Arguments) -> None:
    lost = [
        name for name in (recipe.missing_parameters if recipe else ()) if name not in parameters
    ]
    if lost:
        names = ", ".join(map(repr, lost))
        is_one = len(lost) == 1
        problem = (
            f"its parameter{'' if is_one else 's'} {names} {'is' if is_one else 'are'} not kept"
        )
        given = " ".join(f"--param {name}=…" for name in lost)
        raise NotRepeatable(
            run.name, f"{problem} in full (a secret, or not JSON)", f"Pass them again: {given}"
        )


def _load_flow(run: Run, recipe: RestartInfo | None, entrypoint: str | None) -> Flow[..., object]:
    if entrypoint is not None:
        recipe = RestartInfo(entrypoint)
    if recipe is None or recipe.entrypoint is None:
        known = recipe.reason if recipe else "its location is not known"
        problem = f"its flow {run.unit!r} can't be loaded again: {known}"
        remedy = "Pass --entrypoint MODULE:FLOW, or start a new run."
        raise NotRepeatable(run.name, problem, remedy)
    try:
        return load_pinned_flow(recipe)
    except ConfigurationError as error:
        problem = f"its flow {run.unit!r} can't be loaded again: {error.what}: {error.problem}"
        remedy = f"{error.remedy} Or pass its new location: --entrypoint MODULE:FLOW."
        raise NotRepeatable(run.name, problem, remedy) from error
