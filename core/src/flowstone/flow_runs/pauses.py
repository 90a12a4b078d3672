"""Pausing and suspending the flow run that the code is in, until somebody resumes it."""

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
    """Wait here, with the flow's process, until somebody resumes the run.

    Args:
        wait_for_input: what whoever resumes it has to give: a pydantic model, as a `RunInput`, or
            a type such as `int`; None for nothing.
        timeout: wait so many seconds.
        poll_interval: look so often, in seconds, or more often.
        key: which of the flow's pauses this is; by default, their number. One that was resumed in
            an earlier attempt of the run is not paused again: its input is returned at once.

    Returns:
        The input, checked; None where none was asked for.

    Raises:
        PauseTimeout: nobody resumed it in time.
        MissingContextError, NotPausable: this is no code of a flow's own.
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
    """Do as `pause_flow_run` does, while other coroutines run."""
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
    """End the flow's call here; who resumes the run executes it again, in another process.

    What was submitted is waited for. When the flow is executed again, tasks with kept results are
    Cached, and this returns the input at once.

    Args:
        wait_for_input: as of `pause_flow_run`.
        flow_run_id: of another run, which is asked to suspend itself, within about a second; the
            current one by default.
        timeout: after so many seconds it can't be resumed any more; None for no limit.
        key: as of `pause_flow_run`.

    Returns:
        The input, checked; None where none was asked for.

    Raises:
        RunNotFound: there is no run of that id.
        SuspendSignal: this ends the flow's call, whose caller gets a `SuspendedRun`.
        MissingContextError, NotPausable: this is no code of an outermost flow's own, or the flow
            can't be loaded again in another process.
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
    """Do as `suspend_flow_run` does."""
    return await call_blocking(suspend_flow_run, wait_for_input, flow_run_id, timeout, key)


def _stand_in(wanted: object) -> object:
    """Return what a pause gives where the flow is drawn, and not run."""
    # Only a flow that is drawn needs them.
    from flowstone.calls.placeholders import Placeholder, ValueSource

    return None if wanted is None else Placeholder(ValueSource("", "pause_flow_run"))


def _is_current(run_id: str) -> bool:
    scope = current_flow()
    return scope is not None and scope.current.origin.id == run_id


def _ask_to_suspend(ref: str) -> None:
    """Ask a run of whatever process to suspend itself."""
    store = services().runs
    while True:
        run = store.run(ref)
        _check_loadable(f"suspending run {run.name!r}", run)
        if run.state.name in {"Suspending", "Suspended"}:
            return
        if run.state.is_final() or run.state.type is CANCELLING:
            problem, remedy = f"it is {run.state.name}", "Look at it with `flowstone run show`."
            raise NotPausable(f"suspending run {run.name!r}", problem, remedy)
        with suppress(Conflict):  # it has moved on meanwhile: look again
            store.record(make_change_event(run, Suspending("asked from outside"), run.attempt))
            return


def _check_loadable(what: str, run: Run | Origin) -> None:
    """Refuse to suspend what could never be resumed."""
    if run.parent_id is not None or run.kind != "flow":
        problem = f"{run.name!r} is not an outermost flow run: it is executed as a part of one"
        raise NotPausable(what, problem, "Suspend that one, or use pause_flow_run here.")
    recipe = run.recipe
    if recipe is None or recipe.entrypoint is None:
        why = recipe.reason if recipe else "it is not known where it stands"
        problem = f"flow {run.unit!r} could not be loaded again: {why}"
        remedy = "Put it at the top of a module, or use pause_flow_run."
        raise NotPausable(what, problem, remedy)


class _Waiting(AsyncRunDriver):
    """Drives a wait inside a flow's call; what comes out of that does not end the run."""

    __slots__ = ()

    def let_go(self) -> None:
        """Keep the run: its code may catch what came, and go on."""


class _Asking:
    """One pause, from the side of the run."""

    def __init__(self, caller: str, wanted: Any, key: str | None) -> None:
        self._caller = f"{caller}()"
        self._scope = self._flow_here()
        self.recorder = cast("RunRecorder", self._scope.current)
        self._key = key if key is not None else self._ordinal()
        self._is_value, self._model = False, None
        self._schema: dict[str, Any] | None = None
        if wanted is not None:
            # pydantic: 40 ms of start-up, which only a run that asks for input pays.
            from flowstone.flow_runs.schemas import make_model, make_schema

            self._model = make_model(wanted)
            self._is_value = self._model is not wanted
            self._schema = make_schema(self._model)
        self._problems: dict[str, str] = {}
        self.answer: Any = None
        self.driver = _Waiting(self.recorder, self._scope, services().clock, RunLogger)

    def is_answered(self) -> bool:
        """Tell whether the run was resumed from this pause, with an input that fits."""
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
        """Ask, and return the life of the wait."""
        self.ask(timeout)
        return pause(self.recorder.origin.name, self.message, timeout, interval)

    def ask(self, timeout: float | None) -> None:
        """Keep what the run waits for, for those who resume it."""
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
        """What the run waits for, and how it is resumed."""
        short = self.recorder.origin.id[-12:]
        asked = ""
        if self._schema is not None:
            names = ", ".join(field.name for field in requests.list_fields(self._schema))
            asked = f"waits for input ({names}); "
        wrong = "".join(f"{field}: {problem}; " for field, problem in self._problems.items())
        return f"{wrong}{asked}resume it with `flowstone run resume {short}`"

    def refuse_async(self, instead: str) -> None:
        """Refuse to block the loop of an async flow."""
        unit = find_unit(self._scope)
        if unit is not None and unit.isasync:
            problem = f"flow {unit.name!r} is async, and this would block its loop"
            raise NotPausable(self._caller, problem, f"Write: await {instead}(...)")

    def refuse_unloadable(self) -> None:
        """Refuse to suspend what could never be resumed."""
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
        """Return the number of this pause within the attempt: the same in each attempt."""
        return str(self._scope.next_ordinal(f"pause of attempt {self.recorder.attempt}"))
