"""`flowstone run start` and `flowstone run cancel`: what makes runs begin and end."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstone.ambient import services
from flowstone.cli.output import emit, json_option, say, warn
from flowstone.cli.records import run_record
from flowstone.errors import CancelSignal, Conflict
from flowstone.events import changed
from flowstone.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    Cancelled,
    Cancelling,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from flowstone.engine.parameters import Written
    from flowstone.runs import Run
    from flowstone.states import State

#: The exit code of `run start`, by how the run ended; as shells have it for an interrupt.
EXITS = {COMPLETED: 0, PAUSED: 0, FAILED: 1, CRASHED: 3, CANCELLED: 130}
#: How often, in seconds, it is looked whether the run has ended.
_LOOK = 0.1


@click.command("cancel")
@click.argument("run")
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="SECONDS",
    help="Wait so long for its end; 30 if you don't say, 0 for not at all.",
)
@json_option
def cancel_run(run: str, seconds: float, as_json: bool) -> None:
    """Ask a run to end, and wait until it has.

    Its process stops what it does within about a second; what it was in the middle of ends as
    Cancelled. A run whose process is dead is Crashed, as every command finds out.
    """
    found = _asked(run)
    found = _awaited(found, services().clock.time() + seconds)
    if as_json:
        emit(run_record(found, services().clock.time()))
    elif found.state.is_final():
        say(f"{found.name} is {found.state.name}.")
    else:
        warn(f"{found.name} is still {found.state.name}: it was asked to end {seconds:g} s ago.")
        warn("Its process may be in a call that can't be interrupted; `kill` ends that.")
    if not found.state.is_final() and seconds:
        sys.exit(1)


def _asked(ref: str) -> Run:
    store = services().runs
    while True:
        found = store.run(ref)
        root = found if found.is_root else store.run(found.root_id)
        if not found.is_root:
            warn(f"{found.name} is a part of {root.name}, which is cancelled as a whole.")
        if root.state.is_final() or root.state.type is CANCELLING:
            return root
        # Of a suspended run there is no process that could end it.
        is_held = root.lease is not None
        state = (Cancelling if is_held else Cancelled)("asked on the command line")
        try:
            return store.record(changed(root, state, root.attempt))
        except Conflict:
            continue  # it has moved on meanwhile: look again


def _awaited(run: Run, until: float) -> Run:
    store, clock = services().runs, services().clock
    while not run.state.is_final() and clock.time() < until:
        clock.sleep(_LOOK)
        store.reap(clock.time())
        run = store.run(run.id)
    return run


param_option = click.option(
    "--param",
    "-p",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter; the value is JSON where that fits its type, or else a text. Again for each.",
)
params_option = click.option(
    "--params",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A JSON file of parameters by name.",
)
tree_option = click.option(
    "--tree/--no-tree",
    default=True,
    help="Show what runs as a live tree, where this is a terminal; take --no-tree to debug.",
)


@click.command("start")
@click.argument("entrypoint", metavar="MODULE:FLOW")
@param_option
@params_option
@tree_option
@json_option
def start_run(
    entrypoint: str, pairs: tuple[str, ...], file: Path | None, tree: bool, as_json: bool
) -> None:
    """Run a flow here: `package.module:flow`, or `path/to/file.py:flow`.

    On a terminal, what it calls is shown as a tree while it runs. Exits with 0 where the run
    completed or was suspended, 1 where it failed, 3 where it crashed, and 130 where it was
    cancelled.
    """
    # What a program of the user's imports is its own affair; the command itself starts fast.
    from flowstone.entrypoints import load_flow_from_entrypoint  # noqa: PLC0415

    flow = load_flow_from_entrypoint(entrypoint)
    parameters = flow.parameters.read(given(file, pairs))

    def execute() -> Any:
        return flow(**parameters, return_state=True)

    finish(flow.name, execute, tree=tree, as_json=as_json)


def finish(name: str, execute: Callable[[], Any], *, tree: bool, as_json: bool) -> None:
    """Execute a run here, tell how it ended, and exit with the code for that."""
    # 40 ms and more, which only the commands that execute runs need.
    import asyncio  # noqa: PLC0415

    try:
        with _shown(tree and not as_json):
            state: State = execute()
            if asyncio.iscoroutine(state):
                state = asyncio.run(state)
    except (CancelSignal, asyncio.CancelledError, KeyboardInterrupt):
        warn(f"{name} was cancelled.")
        sys.exit(EXITS[CANCELLED])
    if as_json:
        emit({"state": state.type.value, "name": state.name, "message": state.message})
    elif state.type is PAUSED:
        say(str(state.data))
    elif state.type is not COMPLETED:
        warn(f"{name} ended {state.name}: {state.message}")
    sys.exit(EXITS[state.type])


def _shown(is_wanted: bool) -> AbstractContextManager[None]:
    if not is_wanted or not (sys.stderr.isatty() or sys.stdout.isatty()):
        return nullcontext()
    # Costs 60 ms; a pipe must not pay it.
    from flowstone.cli import live  # noqa: PLC0415

    return live.shown()


def given(file: Path | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return the parameters of a command line by name; those of `--param` come before a file's."""
    return {**_from_file(file), **dict(_pair(pair) for pair in pairs)}


def _from_file(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise click.BadParameter(f"{file} is not JSON: {error}", param_hint="--params") from None
    if not isinstance(found, dict):
        problem = f"{file} holds a {type(found).__name__}, not an object of parameters by name"
        raise click.BadParameter(problem, param_hint="--params")
    return found


def _pair(pair: str) -> tuple[str, Written]:
    # 5 ms of start-up, which only the commands that execute runs need.
    from flowstone.engine.parameters import Written  # noqa: PLC0415

    name, equals, text = pair.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--param")
    return name, Written(text)
