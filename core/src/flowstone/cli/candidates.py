"""Shell completion of the names of runs, blocks and other objects.

A completion never fails, logs nothing, and doesn't create the home: on an error, it has no
candidates.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from flowstone.context.current import services
from flowstone.errors import FlowstoneError
from flowstone.ports.paging import iterate_documents
from flowstone.records.runs import RunQuery
from flowstone.records.states import TERMINAL, StateType
from flowstone.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click

    from flowstone.records.runs import Run

    #: The candidates, each with a short description.
    Candidates = Iterable[tuple[str, str]]
    Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

#: Maximum number of runs to offer, newest first.
_NEWEST = 500


def _offer(find: Callable[[], Candidates]) -> Completer:
    """Return a completer for a function that lists all candidates."""

    @wraps(find)
    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        before = logging.root.manager.disable
        logging.disable()  # a warning would appear in the middle of the command line
        try:
            found = dict(find())
        except FlowstoneError:
            return []  # the command itself will report the error
        finally:
            logging.disable(before)
        return [
            CompletionItem(name, help=words)
            for name, words in found.items()
            if name.startswith(begun)
        ]

    return complete


def _has_store() -> bool:
    # Importing this takes as long as a whole command; most completions don't need it.
    from flowstone.bootstrap import find_store_file

    return find_store_file(read_settings()).exists()


@_offer
def complete_runs() -> Candidates:
    """Offer the names of the newest runs."""
    return _list_runs(lambda run: (run.name, f"{run.unit}, {run.state.name}"))


@_offer
def complete_live_runs() -> Candidates:
    """Offer the names of the newest runs that have not ended."""
    live = tuple(state.value for state in StateType if state not in TERMINAL)
    return _list_runs(lambda run: (run.name, f"{run.unit}, {run.state.name}"), live)


@_offer
def complete_flows() -> Candidates:
    """Offer the names of the flows of the newest runs."""
    return _list_runs(lambda run: (run.unit, ""))


def _list_runs(
    render: Callable[[Run], tuple[str, str]], states: tuple[str, ...] = ()
) -> Candidates:
    if _has_store():
        query = RunQuery(listed=True, newest_first=True, states=states, limit=_NEWEST)
        yield from map(render, services().runs.runs(query))


@_offer
def complete_blocks() -> Candidates:
    """Offer saved blocks, as ``type/name``."""
    return _list_documents(
        "block:", lambda kind, name: f"{kind.removeprefix('block:')}/{name}", prefix=True
    )


@_offer
def complete_block_types() -> Candidates:
    """Offer the block types of installed packages, and the user's own."""
    # Loads plugins, which no other completion needs.
    from flowstone.plugins import catalog, registry

    yield from ((slug, kind.__module__) for slug, kind in registry.list_own())
    yield from [(offer.name, offer.plugin.distribution) for offer in catalog.offers("block")]


@_offer
def complete_variables() -> Candidates:
    """Offer the names of variables."""
    return _list_documents("variable", lambda _, name: name)


@_offer
def complete_deployments() -> Candidates:
    """Offer the names of deployments."""
    return _list_documents("deployment", lambda _, name: name)


@_offer
def complete_work_pools() -> Candidates:
    """Offer the names of work pools."""
    return _list_documents("work-pool", lambda _, name: name)


@_offer
def complete_limits() -> Candidates:
    """Offer the names of limits."""
    # Only this completion needs it.
    from flowstone.records.limits import KIND

    return _list_documents(KIND, lambda _, name: name)


def _list_documents(
    kind: str, render: Callable[[str, str], str], *, prefix: bool = False
) -> Candidates:
    if _has_store():
        for document in iterate_documents(services().documents, kind, prefix=prefix):
            yield render(document.kind, document.name), ""
