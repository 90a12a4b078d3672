"""What chooses runs: their state, their flow, their times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.errors import suggest_names
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowstone.cli.output import Option

_TYPES = tuple(state.value for state in StateType)
#: State names that are no types.
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
    help="Only runs in this state, such as failed; can be repeated.",
)
flow_option: Option = click.option(
    "--flow",
    "unit",
    metavar="PATTERN",
    help="Only runs of this flow; * stands for any characters, ? for one.",
)


def parse_states(names: Iterable[str]) -> tuple[str, ...]:
    """Return states as a store knows them.

    Raises:
        BadParameter: there is no such state.
    """
    return tuple(_parse_state(name) for name in names)


def _parse_state(name: str) -> str:
    known = _STATES.get(name.lower())
    if known is None:
        names = [*map(str.capitalize, _TYPES), *_FINER]
        problem = f"{name!r} is no state.{suggest_names(name.capitalize(), names)}"
        raise click.BadParameter(problem, param_hint="--state")
    return known
