"""Executing runs on the command line: options, output, and exit codes."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstone.cli.output import emit, say, show_traceback, warn
from flowstone.cli.run.records import describe_run
from flowstone.cli.value_reader import ValueReader, warn_of_typed
from flowstone.cli.wording import shorten_id
from flowstone.context.current import services
from flowstone.errors import CancelSignal
from flowstone.logging.tracebacks import format_traceback, has_foreign_frame
from flowstone.records.runs import Run
from flowstone.records.states import CANCELLED, COMPLETED, CRASHED, FAILED, PAUSED, State

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from contextlib import AbstractContextManager

    from flowstone.calls.parameters import Written
    from flowstone.records.events import Event

#: The exit code of `run start` for each final state; 130 is that of shells for an interrupt.
EXITS = {COMPLETED: 0, PAUSED: 0, FAILED: 1, CRASHED: 3, CANCELLED: 130}

param_option = click.option(
    "--param",
    "-p",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; VALUE is read as JSON if that fits its type, and may be @env:NAME, "
    "@file:PATH or @- (standard input). Can be repeated.",
)
params_option = click.option(
    "--params",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Read parameters from a JSON file; - is standard input.",
)
tree_option = click.option(
    "--tree/--no-tree",
    default=True,
    help="On a terminal, show a live tree of the runs; use --no-tree with a debugger.",
)


class FirstRun:
    """An `Observer` that remembers the first run: the one that was started."""

    def __init__(self, run: Run | None) -> None:
        self.run = run

    def observe(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.run is None and isinstance(event.payload, Run) and event.payload.is_root:
                self.run = event.payload

    def close(self) -> None:
        """Do nothing: the run is known."""


def execute(
    call: Callable[[], Any], again: Run | None = None, *, tree: bool, as_json: bool
) -> None:
    """Execute a run, report how it ended, and exit with the code of its state.

    Args:
        call: executes the run, and returns its state, or a coroutine of the state.
        again: the run, if it is executed again.
        tree: whether to show a live tree on a terminal.
        as_json: whether to print the run as JSON when it has ended.
    """
    # Only commands that execute runs need these.
    from flowstone.engine.policy import is_cancellation
    from flowstone.observers import observing

    begun = FirstRun(again)
    state: State | None = None
    failure: BaseException | None = None
    try:
        with observing(begun), _show_tree(again, is_wanted=tree and not as_json):
            state = _finish(call())
    except (CancelSignal, KeyboardInterrupt):
        if begun.run is None:
            raise click.Abort from None
    except BaseException as error:
        if not is_cancellation(error):
            state, failure = _find_crash(begun.run, error), error
            if state is None:
                raise
        elif begun.run is None:
            raise click.Abort from None
    run = begun.run
    assert run is not None
    if state is not None and isinstance(state.data, BaseException):
        failure = state.data
    _tell(services().runs.run(run.id), state, failure, as_json=as_json)
    sys.exit(EXITS[CANCELLED if state is None else state.type])


def _finish(ended: State | Coroutine[object, object, State]) -> State:
    """Return the state that a call has returned; if it is a coroutine, run it first."""
    if isinstance(ended, State):
        return ended
    import asyncio  # takes 40 ms, which only async flows need

    return asyncio.run(ended)


def _find_crash(run: Run | None, error: BaseException) -> State | None:
    """Return the state of a run that its own code crashed, such as by `sys.exit`, or None.

    The exit code is that of the run's state: `sys.exit(0)` in a flow is not a success.
    """
    if run is None or isinstance(error, Exception):
        return None
    state = services().runs.run(run.id).state
    return state if state.type is CRASHED else None


def _tell(run: Run, state: State | None, failure: BaseException | None, *, as_json: bool) -> None:
    """Report how a run ended, and what to do next; without a state, it was cancelled."""
    if as_json:
        emit(describe_run(run, services().clock.time()))
        return
    if state is None:
        warn(f"{run.name} was cancelled.")
    elif state.type is PAUSED:
        say(f"{run.name} is {state.name}: {run.state.message}")
        return
    elif state.type is COMPLETED:
        return
    else:
        message = f"{run.name} ended {state.name}: {state.message}"
        if not isinstance(failure, SystemExit | None) and has_foreign_frame(failure):
            traceback = format_traceback(failure)
            show_traceback(traceback)
            # In a traceback, the name of an exception includes its module.
            is_told = traceback.endswith((f"\n{state.message}", f".{state.message}"))
            message = f"\n{run.name} ended {state.name}." if is_told else f"\n{message}"
        warn(message)
    ref = shorten_id(run)
    warn(
        f"`flowstone run show {ref}` shows what it did; "
        f"`flowstone run retry {ref}` executes it again."
    )


def _show_tree(run: Run | None, *, is_wanted: bool) -> AbstractContextManager[None]:
    if not is_wanted or not (sys.stderr.isatty() or sys.stdout.isatty()):
        return nullcontext()
    # Takes 60 ms, which a pipe doesn't need.
    from flowstone.cli.run import screen

    return screen.show(run)


def read_parameters(file: Path | None, pairs: tuple[str, ...]) -> dict[str, object]:
    """Return the parameters of a command line; `--param` overrides the file of `--params`."""
    reader = ValueReader()
    found = {} if file is None else _read_file(file, reader)
    return {**found, **dict(_read_pair(pair, reader) for pair in pairs)}


def _read_file(file: Path, reader: ValueReader) -> Mapping[str, object]:
    try:
        # As bytes: JSON is UTF-8 in any locale, and may begin with a byte order mark.
        is_stdin = str(file) == "-"
        content = reader.open_stdin("--params").buffer.read() if is_stdin else file.read_bytes()
        found = json.loads(content)
    except ValueError as error:
        raise click.BadParameter(f"{file} is not JSON: {error}", param_hint="--params") from None
    if not isinstance(found, dict):
        problem = f"{file} holds a {type(found).__name__}, not an object of parameters by name"
        raise click.BadParameter(problem, param_hint="--params")
    return found


def _read_pair(pair: str, reader: ValueReader) -> tuple[str, Written]:
    # Takes 5 ms, which only commands that execute runs need.
    from flowstone.calls.parameters import Written

    name, equals, text = pair.partition("=")
    if not equals or not name:  # the text after the sign may be a secret
        told = "a value without a name" if equals else repr(pair)
        raise click.BadParameter(f"{told} is not NAME=VALUE", param_hint="--param")
    value, is_typed = reader.read(name, text)
    return name, Written(value, warn_of_typed if is_typed else None)
