"""Flow runs from outside: execute one again."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

from flowstone.ambient import services
from flowstone.engine.keeper import Taken, leased
from flowstone.entrypoints import load_flow_from_entrypoint
from flowstone.errors import ConfigurationError, Conflict, NotRepeatable
from flowstone.events import handed_over
from flowstone.states import CANCELLED, COMPLETED, CRASHED, FAILED, PAUSED, AwaitingRetry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.flows import Flow
    from flowstone.runs import Recipe, Run
    from flowstone.states import State

__all__ = ["aretry_flow_run", "retry_flow_run"]


def retry_flow_run(
    run: str, parameters: Mapping[str, Any] | None = None, *, entrypoint: str | None = None
) -> State:
    """Execute a run that failed, crashed or was cancelled once more, here, under the same id.

    What it has kept results of by `RUN_ID`, as the default cache policy does, is not done again.

    Args:
        run: its id, a part of it, or its name.
        parameters: by name, in place of those that it had.
        entrypoint: where its flow stands now; None for where it stood.

    Returns:
        The state that it ends in; a failure of the flow is not raised.

    Raises:
        RunNotFound: there is no such run.
        NotRepeatable: it is part of another, has not ended or has completed, its flow can't be
            loaded again, parameters are not kept as they were, or somebody else was first.
    """
    state = _retried(run, parameters or {}, entrypoint)
    if iscoroutine(state):
        # 40 ms of start-up that most programs do without.
        import asyncio  # noqa: PLC0415

        state = asyncio.run(state)
    return state  # type: ignore[no-any-return]


async def aretry_flow_run(
    run: str, parameters: Mapping[str, Any] | None = None, *, entrypoint: str | None = None
) -> State:
    """Do as `retry_flow_run` does, for an async flow inside a loop."""
    state = _retried(run, parameters or {}, entrypoint)
    return await state if iscoroutine(state) else state  # type: ignore[no-any-return]


def _retried(ref: str, parameters: Mapping[str, Any], entrypoint: str | None) -> Any:
    current = services()
    current.runs.reap(current.clock.time())
    run = current.runs.run(ref)
    _check_end(run)
    flow, arguments = repeated(run, parameters, entrypoint)
    state = AwaitingRetry("to be executed again, by hand")
    event = handed_over(run, state, leased(current, current.clock.time()))
    try:
        return flow.again(Taken(run, event), arguments)
    except Conflict as conflict:
        actual: Any = conflict.actual
        problem = f"it is {actual.state.name} meanwhile: somebody else was first"
        raise NotRepeatable(run.name, problem, _LOOK) from conflict


_LOOK = "Look at it with `flowstone run show`."


def _check_end(run: Run) -> None:
    """Refuse what can't be taken up; say what can be done instead."""
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


def repeated(
    run: Run, parameters: Mapping[str, Any], entrypoint: str | None
) -> tuple[Flow[..., Any], dict[str, Any]]:
    """Return the flow of a run, loaded again, and the arguments for it.

    Raises:
        NotRepeatable: that can't be done; it says what has to be given.
    """
    recipe = run.recipe
    _check_kept(run, recipe, parameters)
    arguments = {**(run.parameters or {}), **parameters}
    flow = _loaded(run, recipe, entrypoint)
    args, kwargs = flow.parameters.rebind(arguments)
    flow.parameters.validate(flow.parameters.bind(args, kwargs))
    return flow, arguments


def _check_kept(run: Run, recipe: Recipe | None, parameters: Mapping[str, Any]) -> None:
    lost = [name for name in (recipe.lost if recipe else ()) if name not in parameters]
    if lost:
        names = ", ".join(map(repr, lost))
        is_one = len(lost) == 1
        problem = (
            f"its parameter{'' if is_one else 's'} {names} {'is' if is_one else 'are'} not kept"
        )
        given = " ".join(f"--param {name}=…" for name in lost)
        raise NotRepeatable(
            run.name, f"{problem} as given (a secret, or no JSON)", f"Give them again: {given}"
        )


def _loaded(run: Run, recipe: Recipe | None, entrypoint: str | None) -> Flow[..., Any]:
    place = entrypoint or (recipe.entrypoint if recipe else None)
    if place is None:
        known = recipe.obstacle if recipe else "where it stands is not known"
        problem = f"its flow {run.unit!r} can't be loaded again: {known}"
        remedy = "Say where it is by --entrypoint MODULE:FLOW, or start a new run."
        raise NotRepeatable(run.name, problem, remedy)
    try:
        return load_flow_from_entrypoint(place)
    except ConfigurationError as error:
        problem = f"its flow {run.unit!r} can't be loaded again: {error.what}: {error.problem}"
        remedy = f"{error.remedy} Or say where it is now by --entrypoint MODULE:FLOW."
        raise NotRepeatable(run.name, problem, remedy) from error
