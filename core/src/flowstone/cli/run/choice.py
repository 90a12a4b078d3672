"""Options and arguments that select runs: by state, flow, deployment and time."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_deployments, complete_flows, complete_work_pools
from flowstone.cli.times import parse_moment
from flowstone.context.current import services
from flowstone.errors import RunNotFound, suggest_names
from flowstone.records.runs import RunQuery
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowstone.cli.output import Option
    from flowstone.records.runs import Run

_TYPES = tuple(state.value for state in StateType)
#: State names that are not state types.
_FINER = (
    "AwaitingConcurrencySlot",
    "AwaitingRetry",
    "Resuming",
    "Retrying",
    "Skipped",
    "Suspended",
    "TimedOut",
)
_STATES: dict[str, str] = {name.lower(): name for name in (*_TYPES, *_FINER)}

state_option: Option = click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    shell_complete=lambda _, __, begun: [s for s in _STATES if s.startswith(begun.lower())],
    help="Only runs in this state, such as failed; can be repeated.",
)
flow_option: Option = click.option(
    "--flow",
    "unit",
    metavar="PATTERN",
    shell_complete=complete_flows,
    help="Only runs of this flow; * matches any characters, ? matches one.",
)
deployment_option: Option = click.option(
    "--deployment",
    metavar="NAME",
    shell_complete=complete_deployments,
    help="Only runs of this deployment: FLOW/NAME, or NAME if it is unique.",
)


def source_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add options for a deployment and a pool, passed to the command as one argument ``source``."""

    @deployment_option
    @click.option(
        "--pool",
        metavar="NAME",
        shell_complete=complete_work_pools,
        help="Only runs of this work pool's deployments.",
    )
    @wraps(command)
    def call(*args: object, deployment: str | None, pool: str | None, **options: object) -> None:
        command(*args, source=(deployment, pool), **options)

    return call


def choose_deployments(deployment: str | None, pool: str | None) -> tuple[str, ...] | None:
    """Return the full names of the selected deployments; None if there are none.

    An empty tuple means all runs, including those without a deployment.

    Raises:
        ObjectNotFound: there is no such deployment, or no such pool.
    """
    names = parse_deployment(deployment)
    if pool is None:
        return names
    # Takes 10 ms, which only a command with a pool needs.
    from flowstone.deployments.documents import find_deployments
    from flowstone.infrastructure.work_pools import load_work_pool

    found = {each.full_name for each in find_deployments() if each.work_pool_name == pool}
    if not found:
        load_work_pool(pool)  # raises an error if there is no such pool
    return tuple(sorted(found.intersection(names) if names else found)) or None


def parse_deployment(name: str | None) -> tuple[str, ...]:
    """Return the full name of a deployment; a full name may be of a deleted one."""
    if name is None or "/" in name:
        return () if name is None else (name,)
    # Takes 10 ms, which only a command with such a name needs.
    from flowstone.deployments.documents import load_deployment

    return (load_deployment(name).full_name,)


def period_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add options for a period, passed to the command as one argument ``period``."""

    @click.option(
        "--since",
        metavar="TIME",
        help="Only runs created at this time or later: an age, such as 2h or 7d, or a date, such "
        "as 2026-03-01.",
    )
    @click.option(
        "--until", metavar="TIME", help="Only runs created before this time: an age or a date."
    )
    @wraps(command)
    def call(*args: object, since: str | None, until: str | None, **options: object) -> None:
        command(*args, period=(since, until), **options)

    return call


def parse_states(names: Iterable[str]) -> tuple[str, ...]:
    """Return the states of these names, in the form that a store uses.

    Raises:
        BadParameter: there is no such state.
    """
    return tuple(_parse_state(name) for name in names)


def parse_time(option: str, text: str | None, now: float) -> float | None:
    """Return a point in time, in seconds since the epoch; None for no text.

    Raises:
        BadParameter: it is neither an age nor a date.
    """
    if text is None:
        return None
    moment = parse_moment(text, now)
    if moment is None:
        problem = f"{text!r} is neither an age, such as 2h or 7d, nor a date, such as 2026-03-01."
        raise click.BadParameter(problem, param_hint=option)
    return moment


def find_run(ref: str) -> Run:
    """Return a run by its id, a part of it, or its name; for a flow's name, its newest run.

    Raises:
        RunNotFound: there is no such run.
    """
    store = services().runs
    try:
        return store.run(ref)
    except RunNotFound:
        # Wildcards are literal here.
        query = RunQuery(listed=True, unit=ref, newest_first=True, limit=1)
        found = [] if set(ref) & set("*?") else store.runs(query)
        if not found:
            raise
        return found[0]


def _parse_state(name: str) -> str:
    known = _STATES.get(name.lower())
    if known is None:
        names = [*map(str.capitalize, _TYPES), *_FINER]
        problem = f"{name!r} is not a state.{suggest_names(name.capitalize(), names)}"
        raise click.BadParameter(problem, param_hint="--state")
    return known
