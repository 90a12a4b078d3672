"""Pause or suspend the current flow run until it is resumed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from flowstone.context.current import services, sketch
from flowstone.context.runtime import current_flow, current_task, find_unit
from flowstone.engine.async_driver import AsyncRunDriver
from flowstone.engine.blocking_calls import call_blocking
from flowstone.engine.pause import pause
from flowstone.engine.recorder import RunRecorder
from flowstone.errors import Conflict, MissingContextError, NotPausable, SuspendSignal
from flowstone.flow_runs import requests
from flowstone.flow_runs.requests import Question
from flowstone.logging.run_logger import RunLogger
from flowstone.records.events import make_change_event
from flowstone.records.states import CANCELLING, Suspending

if TYPE_CHECKING:
    from flowstone.context.current import Scope
    from flowstone.engine.lifecycle import Lifecycle
    from flowstone.records.runs import Origin, Run

T = TypeVar("T")


@overload
def pause_flow_run(
    wait_for_input: None = ...,
    timeout: float = ...,
    poll_interval: float = ...,
    key: str | None = ...,
) -> None: ...
@overload
def pause_flow_run(
    wait_for_input: type[T], timeout: float = ..., poll_interval: float = ..., key: str | None = ...
) -> T: ...
def pause_flow_run(
    wait_for_input: object = None,
    timeout: float = 3600,
    poll_interval: float = 10,
    key: str | None = None,
) -> Any:
    """Pause the current flow run: wait, with the flow's process alive, until it is resumed.

    Args:
        wait_for_input: the type of the input that is needed to resume: a pydantic model, such as a
            `RunInput`, or a type such as `int`; None for no input.
        timeout: seconds to wait.
        poll_interval: the maximum number of seconds between two polls.
        key: identifies this pause within the flow; by default, its number. If a pause was resumed
            in an earlier attempt of the run, its input is returned immediately.

    Returns:
        The validated input; None without `wait_for_input`.

    Raises:
        PauseTimeout: it was not resumed in time.
        MissingContextError, NotPausable: this is not the code of a flow itself.
    """
    if sketch() is not None:
        return _stand_in(wait_for_input)
    asking = _Asking("pause_flow_run", wait_for_input, key)
    asking.refuse_async("apause_flow_run")
    while not asking.is_answered():
        asking.driver.drive(asking.pause(timeout, poll_interval))
    return asking.answer


@overload
async def apause_flow_run(
    wait_for_input: None = ...,
    timeout: float = ...,  # noqa: ASYNC109 - the name that people know
    poll_interval: float = ...,
    key: str | None = ...,
) -> None: ...
@overload
async def apause_flow_run(
    wait_for_input: type[T],
    timeout: float = ...,  # noqa: ASYNC109 - the name that people know
    poll_interval: float = ...,
    key: str | None = ...,
) -> T: ...
async def apause_flow_run(
    wait_for_input: object = None,
    timeout: float = 3600,  # noqa: ASYNC109 - the name that people know
    poll_interval: float = 10,
    key: str | None = None,
) -> Any:
    """Async version of `pause_flow_run`."""
    if sketch() is not None:
        return _stand_in(wait_for_input)
    asking = _Asking("apause_flow_run", wait_for_input, key)
    while not await call_blocking(asking.is_answered):
        life = await call_blocking(asking.pause, timeout, poll_interval)
        await asking.driver.adrive(life)
    return asking.answer


@overload
def suspend_flow_run(
    wait_for_input: None = ...,
    flow_run_id: str | None = ...,
    timeout: float | None = ...,
    key: str | None = ...,
) -> None: ...
@overload
def suspend_flow_run(
    wait_for_input: type[T],
    flow_run_id: str | None = ...,
    timeout: float | None = ...,
    key: str | None = ...,
) -> T: ...
def suspend_flow_run(
    wait_for_input: Any = None,
    flow_run_id: str | None = None,
    timeout: float | None = None,
    key: str | None = None,
) -> Any:
    """Suspend the current flow run: exit here; resuming it executes it again in another process.

    Submitted tasks are waited for. When the flow is executed again, tasks with persisted results
    are
    Cached, and this function returns the input immediately.

    Args:
        wait_for_input: as for `pause_flow_run`.
        flow_run_id: the id of another run, which is asked to suspend itself, within about a second;
            by default the current one.
        timeout: seconds after which it can't be resumed any more; None for no limit.
        key: as for `pause_flow_run`.

    Returns:
        The validated input; None without `wait_for_input`.

    Raises:
        RunNotFound: there is no such run.
        SuspendSignal: this ends the flow's call, whose caller gets a `SuspendedRun`.
        MissingContextError, NotPausable: this is not the code of an outermost flow itself, or the
            flow can't be loaded in another process.
    """
    if sketch() is not None:
        return _stand_in(wait_for_input)
    if flow_run_id is not None and not _is_current(flow_run_id):
        _ask_to_suspend(flow_run_id)
        return None
    asking = _Asking("suspend_flow_run", wait_for_input, key)
    asking.refuse_unloadable()
    if not asking.is_answered():
        asking.ask(timeout)
        raise SuspendSignal(asking.message)
    return asking.answer


@overload
async def asuspend_flow_run(
    wait_for_input: None = ...,
    flow_run_id: str | None = ...,
    timeout: float | None = ...,  # noqa: ASYNC109 - the name that people know
    key: str | None = ...,
) -> None: ...
@overload
async def asuspend_flow_run(
    wait_for_input: type[T],
    flow_run_id: str | None = ...,
    timeout: float | None = ...,  # noqa: ASYNC109 - the name that people know
    key: str | None = ...,
) -> T: ...
async def asuspend_flow_run(
    wait_for_input: Any = None,
    flow_run_id: str | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the name that people know
    key: str | None = None,
) -> Any:
    """Async version of `suspend_flow_run`."""
    return await call_blocking(suspend_flow_run, wait_for_input, flow_run_id, timeout, key)


def _stand_in(wanted: object) -> object:
    """Return a placeholder for the input when the flow is drawn instead of run."""
    # Only needed for a flow that is drawn.
    from flowstone.calls.placeholders import Placeholder, ValueSource

    return None if wanted is None else Placeholder(ValueSource("", "pause_flow_run"))


def _is_current(run_id: str) -> bool:
    scope = current_flow()
    return scope is not None and scope.current.origin.id == run_id


def _ask_to_suspend(ref: str) -> None:
    """Ask a run of any process to suspend itself."""
    store = services().runs
    while True:
        run = store.run(ref)
        _check_loadable(f"suspending run {run.name!r}", run)
        if run.state.name in {"Suspending", "Suspended"}:
            return
        if run.state.is_final() or run.state.type is CANCELLING:
            problem, remedy = f"it is {run.state.name}", "Look at it with `flowstone run show`."
            raise NotPausable(f"suspending run {run.name!r}", problem, remedy)
        with suppress(Conflict):  # it has changed in the meantime: check again
            store.record(make_change_event(run, Suspending("requested from outside"), run.attempt))
            return


def _check_loadable(what: str, run: Run | Origin) -> None:
    """Refuse to suspend a run that could not be resumed."""
    if run.parent_id is not None or run.kind != "flow":
        problem = f"{run.name!r} is not an outermost flow run: it is executed as a part of one"
        raise NotPausable(what, problem, "Suspend that one, or use pause_flow_run here.")
    recipe = run.recipe
    if recipe is None or recipe.entrypoint is None:
        why = recipe.reason if recipe else "its location is not known"
        problem = f"flow {run.unit!r} could not be loaded again: {why}"
        remedy = "Put it at the top of a module, or use pause_flow_run."
        raise NotPausable(what, problem, remedy)


class _Waiting(AsyncRunDriver):
    """Drives a wait inside a flow's call; an exception of the wait does not end the run."""

    __slots__ = ()

    def let_go(self) -> None:
        """Do nothing: the run's code may catch the exception and continue."""


class _Asking:
    """One pause, on the side of the run."""

    def __init__(self, caller: str, wanted: Any, key: str | None) -> None:
        self._caller = f"{caller}()"
        self._scope = self._flow_here()
        self.recorder = cast("RunRecorder", self._scope.current)
        self._key = key if key is not None else self._ordinal()
        self._is_value, self._model = False, None
        self._schema: dict[str, Any] | None = None
        if wanted is not None:
            # Importing pydantic takes 40 ms; only a run that asks for input needs it.
            from flowstone.flow_runs.schemas import make_model, make_schema

            self._model = make_model(wanted)
            self._is_value = self._model is not wanted
            self._schema = make_schema(self._model)
        self._problems: dict[str, str] = {}
        self.answer: Any = None
        self.driver = _Waiting(self.recorder, self._scope, services().clock, RunLogger)

    def is_answered(self) -> bool:
        """Return whether the run was resumed from this pause, with valid input."""
        question = requests.find_question(self.recorder.origin.id, self._key)
        winner = None if question is None else question.find_winner()
        if question is None or winner is None:
            return False
        if self._model is None:
            return True
        from flowstone.flow_runs.schemas import fill_in  # see above

        found = fill_in(self._model, question.open_input(winner.id))
        if isinstance(found, dict):
            self._problems = found
            return False
        self.answer = found.value if self._is_value else found  # type: ignore[attr-defined]
        return True

    def pause(self, timeout: float, interval: float) -> Lifecycle:
        """Ask, and return the wait."""
        self.ask(timeout)
        return pause(self.recorder.origin.name, self.message, timeout, interval)

    def ask(self, timeout: float | None) -> None:
        """Store what the run waits for, for those who resume it."""
        now = services().clock.time()
        question = Question(
            self.recorder.origin.id,
            self._key,
            now,
            None if timeout is None else now + timeout,
            self._schema,
            getattr(self._model, "description_for_people", None),
            {},
            {},
        )
        requests.ask(question)
        requests.refuse(question, self._problems)

    @property
    def message(self) -> str:
        """What the run waits for, and how to resume it."""
        short = self.recorder.origin.id[-12:]
        asked = ""
        if self._schema is not None:
            names = ", ".join(field.name for field in requests.list_fields(self._schema))
            asked = f"waits for input ({names}); "
        wrong = "".join(f"{field}: {problem}; " for field, problem in self._problems.items())
        return f"{wrong}{asked}resume it with `flowstone run resume {short}`"

    def refuse_async(self, instead: str) -> None:
        """Refuse to block the event loop of an async flow."""
        unit = find_unit(self._scope)
        if unit is not None and unit.isasync:
            problem = f"flow {unit.name!r} is async, and this would block its loop"
            raise NotPausable(self._caller, problem, f"Write: await {instead}(...)")

    def refuse_unloadable(self) -> None:
        """Refuse to suspend a run that could not be resumed."""
        _check_loadable(self._caller, self.recorder.origin)

    def _flow_here(self) -> Scope:
        if (task := current_task()) is not None:
            problem = f"it was called in the task run {task.current.origin.name!r}"
            raise NotPausable(self._caller, problem, "Call it in the flow's own code.")
        scope = current_flow()
        if scope is None:
            raise MissingContextError(self._caller)
        return scope

    def _ordinal(self) -> str:
        """Return the number of this pause within the attempt, which is the same in each attempt."""
        return str(self._scope.next_ordinal(f"pause of attempt {self.recorder.attempt}"))
