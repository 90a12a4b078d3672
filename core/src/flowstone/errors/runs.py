"""Errors and stop signals of runs, and of the calls that start them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.errors.base import FlowstoneError, Worded

if TYPE_CHECKING:
    from collections.abc import Mapping


class ParameterError(FlowstoneError):
    """A flow or task was called with invalid arguments."""


class ParameterBindError(ParameterError, TypeError):
    """The arguments don't match the function's signature."""

    def __init__(self, unit: str, signature: str, problem: str) -> None:
        self.unit, self.signature, self.problem = unit, signature, problem
        super().__init__(
            f"{unit!r} can't be called like this: {problem}. Its signature is {unit}{signature}."
        )


class ParameterTypeError(ParameterError, TypeError):
    """A parameter's value does not match its type hint; raised before the flow starts.

    Attributes:
        unit: the flow or task.
        problems: the problem of each parameter, by name.
        outcome: what was not done; None if the unit was not started.
    """

    def __init__(self, unit: str, problems: Mapping[str, str], outcome: str | None = None) -> None:
        self.unit, self.problems, self.outcome = unit, dict(problems), outcome
        lines = "".join(f"\n  {name}: {problem}" for name, problem in self.problems.items())
        if outcome is not None:
            misfits = f"these parameters do not fit:{lines}\nPass values that fit."
            super().__init__(f"{outcome}; {misfits}")
            return
        super().__init__(
            f"{unit!r} was not started; these parameters do not fit their type hints:{lines}\n"
            "Pass values of those types, or set validate_parameters=False on the flow."
        )


class MappingMissingIterable(ParameterError, TypeError):
    """`.map` was called without anything to map over."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        super().__init__(
            f"{unit!r}.map needs an iterable among its arguments, such as a list. "
            "For a single call, use .submit."
        )


class MappingLengthMismatch(ParameterError, ValueError):
    """`.map` was called with iterables of different lengths."""

    def __init__(self, unit: str, lengths: Mapping[str, int | str]) -> None:
        self.unit, self.lengths = unit, dict(lengths)
        told = ", ".join(f"{name}: {length}" for name, length in self.lengths.items())
        super().__init__(
            f"{unit!r}.map needs iterables of equal length, and got {told}. "
            "Wrap values that are the same for each call in unmapped(...)."
        )


class RunError(FlowstoneError):
    """A run has no result."""


def _name_run(name: str) -> str:
    """Return the name of a run for a message: a state alone does not know its run."""
    return f"run {name!r}" if name else "the run"


class _EndedRun(RunError):
    verb = "ended"

    def __init__(self, name: str, message: str | None = None) -> None:
        self.name, self.message = name, message
        super().__init__(f"{_name_run(name)} {self.verb}{f': {message}' if message else '.'}")


class FailedRun(_EndedRun):
    """The run failed, and the original exception is not available."""

    verb = "failed"


class CrashedRun(_EndedRun):
    """The run's process or machine died before the run ended."""

    verb = "crashed"


class ProcessDied(CrashedRun):
    """The process in which a task ran died before the task ended."""

    code: int | None

    def __init__(self, name: str, run_id: str, code: int) -> None:
        self.run_id, self.code = run_id, code
        killed = f"was killed by signal {-code}" if code < 0 else "ended"
        where = "its memory" if code == -9 else "its output"
        super().__init__(name, f"its process {killed} (exit code {code}). Check {where}.")


class ProcessLost(ProcessDied):
    """A process of a cluster in which a task ran died before the task ended."""

    def __init__(self, name: str, run_id: str, problem: str) -> None:
        self.run_id, self.code, self.problem = run_id, None, problem
        told = f"{problem}. Check that worker's log and memory; set retries on the task."
        CrashedRun.__init__(self, name, told)


class CancelledRun(_EndedRun):
    """The run was cancelled."""

    verb = "was cancelled"


class UnfinishedRun(RunError):
    """A result was requested before the run had ended."""

    def __init__(self, name: str, state: str) -> None:
        self.name, self.state = name, state
        super().__init__(
            f"{_name_run(name)} is {state}: wait for it before you ask for its result."
        )


class UpstreamTaskError(RunError):
    """A task was not started because a task that it depends on did not complete."""

    def __init__(self, name: str, upstream: str, state: str) -> None:
        self.name, self.upstream, self.state = name, upstream, state
        super().__init__(
            f"{name!r} was not started: it needs {upstream!r}, which ended {state}. "
            "Fix that one, or pass allow_failure(future) to run anyway."
        )


class ElementFailed(RunError):
    """An element of a batch failed, and its batch with it; the cause is the original exception."""

    def __init__(self, unit: str, index: int, first: int, last: int, problem: str) -> None:
        self.unit, self.index, self.first, self.last = unit, index, first, last
        self.problem = problem
        super().__init__(
            f"element {index} of {unit!r}.map failed, and with it the batch of elements {first} "
            f"to {last}: {problem}. Fix it, or use a smaller batch_size."
        )


class RunTimeout(RunError, TimeoutError):
    """A run, or a wait for it, has exceeded its timeout."""

    def __init__(self, name: str, seconds: float, note: str = "") -> None:
        self.name, self.seconds = name, seconds
        super().__init__(
            f"{name!r} exceeded its timeout of {seconds:g} s.{f' {note}' if note else ''}"
        )


class ClosedEarly(RunError, RuntimeError):
    """A run whose function yields was closed before its last value.

    If the caller that iterates over it closes it, the run completes. This error is raised if
    anything else does, so that the caller does not take that for the end of the values.
    """

    def __init__(self, name: str, count: int, closer: str) -> None:
        self.name, self.count, self.closer = name, count, closer
        values = "1 value" if count == 1 else f"{count} values"
        self.message = f"closed by {closer} after {values}"
        super().__init__(f"{name!r} was {self.message}. Use its values before that.")


class NotHashable(RunError, TypeError):
    """A value has no stable fingerprint, so nothing can be cached by it."""

    def __init__(self, path: str, kind: str, problem: str) -> None:
        self.path, self.kind, self.problem = path, kind, problem
        _, is_argument, rest = path.partition("argument '")
        name = rest.partition("'")[0] if is_argument else "name"
        left_out = f"cache_policy=INPUTS - {name!r}"
        super().__init__(
            f"{path} is a {kind}, which can't be hashed: {problem}. Exclude it with {left_out}, "
            "or set cache_key_fn on the task."
        )


class KeyNotMade(NotHashable):
    """A user's function or policy raised when it computed a cache key."""

    def __init__(self, maker: str, cause: Exception) -> None:
        self.maker, self.cause = maker, cause
        told = f"{type(cause).__name__}: {cause}"
        RunError.__init__(
            self, f"{maker!r} raised {told}. Fix it, or let it return None to cache nothing."
        )


class NotSerializable(RunError, TypeError):
    """A result, or an argument of a background call, can't be serialized.

    Attributes:
        serializer: the serializer.
        kind: the type of the value.
        problem: the serializer's message.
        unit: the task that was not sent; None for a result.
        argument: the name of its argument that can't be sent.
    """

    def __init__(
        self,
        serializer: str,
        kind: str,
        problem: str,
        unit: str | None = None,
        argument: str | None = None,
    ) -> None:
        self.serializer, self.kind, self.problem = serializer, kind, problem
        self.unit, self.argument = unit, argument
        if argument is None:
            super().__init__(
                f"a {kind} can't be written by the {serializer!r} serializer: {problem}. "
                "Choose another result_serializer, or persist_result=False."
            )
        else:
            super().__init__(
                f"{unit!r} was not sent: its argument {argument!r} can't be pickled: {problem}. "
                "Send a value that another process can load."
            )


class UnreadableResult(RunError, ValueError):
    """A persisted result can't be read by its serializer."""

    def __init__(self, serializer: str, problem: str) -> None:
        self.serializer, self.problem = serializer, problem
        super().__init__(
            f"a result can't be read by the {serializer!r} serializer: {problem}. "
            "Read it with the serializer and the program that wrote it, or compute it again."
        )


class NotSendable(RunError, TypeError):
    """An object can't be sent between this process and the one where a task runs."""

    def __init__(self, what: str, problem: str) -> None:
        self.what, self.problem = what, problem
        super().__init__(
            f"{what} can't be sent between processes: {problem}. Pass and return plain data, open "
            "files and connections inside the task, or use a ThreadPoolTaskRunner."
        )


class MissingResult(RunError, LookupError):
    """The run completed, but its value was not persisted where this process can read it."""

    def __init__(self, name: str, problem: str = "") -> None:
        self.name, self.problem = name, problem
        told = "is not stored outside the process that created it"
        remedy = "Return it from the flow, or write it to a block in a task."
        if problem:
            told = f"can't be read again: {problem}"
            remedy = "Leave its file where it is, or call with cache_result_in_memory=True."
        super().__init__(f"the value of {_name_run(name)} {told}. {remedy}")


class ArtifactInvalid(RunError, ValueError):
    """An artifact has an invalid key or content."""

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem}. {remedy}")


class MissingContextError(RunError, RuntimeError):
    """A function that needs a current run was called outside of a run."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} needs a current run: call it inside a @flow or @task function.")


class ValueNotComputed(RunError, TypeError):
    """A flow that is only drawn used the value of a task for more than passing it on."""

    def __init__(self, unit: str, use: str) -> None:
        self.unit, self.use = unit, use
        super().__init__(
            f"the flow needs the value of task {unit!r} ({use}), and flow.visualize() runs no "
            f"tasks. Set a value for that: @task(viz_return_value=...)."
        )


class FutureUnresolved(RunError, TypeError, AttributeError):
    """A future was used as if it were its value."""

    def __init__(self, name: str, use: str) -> None:
        self.future, self.use = name, use
        super().__init__(
            f"{name!r} is a future, and {use} needs its value: use .result(), or await it in async "
            "code. Tasks accept futures: pass it as an argument, and the task gets the value."
        )


class NotRepeatable(RunError):
    """A run can't be executed again, or not with these arguments."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        self.name, self.problem, self.remedy = name, problem, remedy
        super().__init__(f"run {name!r} can't be executed again: {problem}. {remedy}")


class NotScheduled(RunError):
    """A run is not scheduled: another process executes it, or it has ended."""

    def __init__(self, name: str, state: str) -> None:
        self.name, self.state = name, state
        super().__init__(
            f"{_name_run(name)} is not waiting to be executed: it is {state}. "
            "Look at it with `flowstone run show`."
        )


class RunNotEnded(RunError):
    """A run must end first."""

    def __init__(self, name: str, state: str, run_id: str) -> None:
        self.name, self.state, self.run_id = name, state, run_id
        super().__init__(
            f"run {name!r} is {state}, and must end first. Cancel it: "
            f"`flowstone run cancel {run_id}`."
        )


class NotPausable(RunError, RuntimeError):
    """A run can't be paused or suspended from here."""

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem}. {remedy}")


class NotPaused(RunError):
    """A run that is not paused or suspended, or no longer, can't be resumed."""

    def __init__(self, name: str, state: str, remedy: str) -> None:
        self.name, self.state, self.remedy = name, state, remedy
        super().__init__(f"run {name!r} can't be resumed: it is {state}. {remedy}")


class PauseTimeout(RunError, TimeoutError):
    """A run was not resumed before its timeout."""

    def __init__(self, name: str, seconds: float, was_suspended: bool = False) -> None:
        self.name, self.seconds, self.was_suspended = name, seconds, was_suspended
        remedy = (
            "Execute it again with `flowstone run retry`, which asks again, or pass "
            "suspend_flow_run a longer timeout."
            if was_suspended
            else "Pass pause_flow_run a longer timeout, or use suspend_flow_run, which waits "
            "without a process."
        )
        super().__init__(f"{name!r} was not resumed within {seconds:g} s. {remedy}")


class InputInvalid(RunError, ValueError):
    """A run was resumed with invalid input; no value is shown."""

    def __init__(self, name: str, problems: Mapping[str, str]) -> None:
        self.name, self.problems = name, dict(problems)
        lines = "".join(f"\n  {field}: {problem}" for field, problem in self.problems.items())
        super().__init__(
            f"run {name!r} was not resumed; this is not what it asks for:{lines}\n"
            "It still waits. Fix these, and resume it again."
        )


class SuspendedRun(RunError):
    """The run is suspended, and waits to be resumed in another process; it has no value yet."""

    def __init__(self, name: str, run_id: str) -> None:
        self.name, self.run_id = name, run_id
        super().__init__(
            f"run {name!r} is suspended. Resume it with `flowstone run resume {run_id}`, or with "
            f"resume_flow_run({run_id!r}): it is then executed there."
        )


class StopSignal(Worded):
    """Ends a run from outside; not an `Exception`, so that user code does not swallow it."""


class TerminationSignal(StopSignal):
    """The process received SIGTERM, or was asked to terminate in another way."""

    def __init__(self, signal: str = "SIGTERM") -> None:
        self.signal = signal
        super().__init__(f"the process received {signal}")


class CancelSignal(StopSignal):
    """The flow run that this run belongs to is being cancelled."""

    def __init__(self, reason: str = "its flow run was cancelled") -> None:
        self.reason = reason
        super().__init__(reason)


class SuspendSignal(StopSignal):
    """The flow run leaves this process, and will be executed again in another one."""

    def __init__(self, message: str = "it was requested") -> None:
        self.message = message
        super().__init__(f"its flow run is being suspended: {message}")


class FencedRun(StopSignal):
    """The run was ended or taken over from outside; this process may no longer write to it."""

    def __init__(self, name: str, state: str) -> None:
        self.name, self.state = name, state
        super().__init__(f"run {name!r} is {state} in the store: it was ended or taken over")


class RemoteTraceback(RunError):
    """The cause of an error that came from another process: its traceback there."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"\n{text.rstrip()}\nRead it from its last line up.")
