"""Execute a scheduled run, which a deployment has created."""

from __future__ import annotations

from contextlib import suppress
from inspect import iscoroutine
from typing import TYPE_CHECKING, cast

from flowstone.context.current import services
from flowstone.engine.recorder import Takeover, make_lease
from flowstone.errors import (
    ConfigurationError,
    Conflict,
    FlowstoneError,
    NotScheduled,
    ParameterError,
)
from flowstone.flow_runs.pinned_code import enter_code, enter_environment, load_pinned_flow
from flowstone.records.events import make_change_event, make_handover_event
from flowstone.records.runs import is_waiting
from flowstone.records.states import Failed, Pending

if TYPE_CHECKING:
    from flowstone.calls.flow import Flow
    from flowstone.records.runs import RestartInfo, Run
    from flowstone.records.states import State

#: Whether this process is loading the code of a run.
_is_loading = False


def is_loading_run() -> bool:
    """Return whether the calling program is only imported, to execute a run of one of its flows."""
    return _is_loading


def execute_scheduled_run(ref: str) -> State:
    """Execute a scheduled run in this process; if several processes try, one of them does.

    Args:
        ref: the run's id, a part of it, or its name.

    Returns:
        The final state; a failure of the flow is not raised.

    Raises:
        RunNotFound: there is no such run.
        NotScheduled: it is not scheduled; another process was first, or it was cancelled.
        ConfigurationError: its flow can't be loaded, and the run has failed. Or it is the run of a
            background task, which is still scheduled.
        ParameterError: its parameters are not valid, and the run has failed.
    """
    run = services().runs.run(ref)
    if run.kind == "task" and is_waiting(run):
        problem = "it is a call of a background task"
        remedy = "A process that calls the task's serve() executes it: start one."
        raise ConfigurationError(f"run {run.name!r}", problem, remedy)
    flow: Flow[..., object] | None = None
    while is_waiting(run):
        try:
            flow = flow or _load(run)
            return _claim(run, flow)
        except Conflict as conflict:
            # Another process may just have changed the reason why it waits.
            run = cast("Run", conflict.actual)
        except (ConfigurationError, ParameterError) as error:
            _fail(run, error)
            raise
    raise NotScheduled(run.name, run.state.name)


def prepare_process(ref: str, *, stays: bool = False) -> None:
    """Prepare this process for executing a scheduled run: enter its environment and its code.

    If the run has its own environment, this process restarts in it, with the same arguments.
    So the calling program must not do anything else.

    Args:
        ref: the run's id, a part of it, or its name.
        stays: whether to keep the current directory. Otherwise a run whose code came from a source
            starts in its copy of that source.

    Raises:
        RunNotFound: there is no such run.
        FlowstoneError: the environment can't be created, or the code no longer exists; the run has
            failed.
    """
    run = services().runs.run(ref)
    if run.recipe is None or not is_waiting(run):
        return
    try:
        enter_environment(run.recipe)
        if not stays:
            enter_code(run.recipe)
    except FlowstoneError as error:
        _fail(run, error)
        raise


def load_flow_of_run(recipe: RestartInfo) -> Flow[..., object]:
    """Load the flow of a run; a program that serves the flow is only imported.

    Raises:
        ConfigurationError: there is none, or importing its code fails, which is the cause; or its
            code no longer exists.
    """
    global _is_loading
    _is_loading = True
    try:
        return load_pinned_flow(recipe)
    finally:
        _is_loading = False


def _load(run: Run) -> Flow[..., object]:
    recipe = run.recipe
    if recipe is None or recipe.entrypoint is None:
        remedy = "Deploy its flow again."
        raise ConfigurationError(f"run {run.name!r}", "it has no entrypoint", remedy)
    return load_flow_of_run(recipe)


def _claim(run: Run, flow: Flow[..., object]) -> State:
    event = make_handover_event(run, Pending(), make_lease(services()))
    ended = flow.run_again(Takeover(run, event), run.parameters or {})
    if iscoroutine(ended):
        # Takes 40 ms to import, and most programs don't need it.
        import asyncio

        ended = asyncio.run(ended)
    return cast("State", ended)


def _fail(run: Run, error: Exception) -> None:
    told = str(error) if isinstance(error, FlowstoneError) else f"{type(error).__name__}: {error}"
    state = Failed(f"it was not started: {told}")
    with suppress(Conflict):  # another process has it, and will report
        services().runs.record(make_change_event(run, state, run.attempt))
