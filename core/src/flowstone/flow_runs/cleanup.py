"""End the work elsewhere that runs have left behind: jobs, queries, containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.blocks.base import Block
from flowstone.context.current import services
from flowstone.context.external_work import find_open_handles, record_end_of_left_behind
from flowstone.errors import ConfigurationError, FlowstoneError, NotRepeatable

if TYPE_CHECKING:
    from flowstone.context.external_work import ExternalWork


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What came of an attempt to end work elsewhere.

    Attributes:
        work: it, and the run that began it.
        error: why it could not be ended; None where it has ended.
    """

    work: ExternalWork
    error: FlowstoneError | None = None


def cleanup_flow_run(run: str) -> list[Cleanup]:
    """End what an ended run, or what it called, began elsewhere and did not see end.

    Each is reached by the saved block that began it, whose package is loaded for that.

    Args:
        run: its id, a part of it, or its name.

    Returns:
        One for each that was left behind; its `error` says why it may still run.

    Raises:
        RunNotFound: there is no such run.
        NotRepeatable: it has not ended.
    """
    store = services().runs
    found = store.run(run)
    root = store.run(found.root_id)
    if not root.state.is_final():
        remedy = f"Cancel it first: `flowstone run cancel {root.id}`."
        raise NotRepeatable(root.name, f"it is {root.state.name}", remedy)
    cleanups = []
    for work in find_open_handles(found):
        try:
            _cancel(work)
            record_end_of_left_behind(root, work)
        except FlowstoneError as error:
            cleanups.append(Cleanup(work, error))
        else:
            cleanups.append(Cleanup(work))
    return cleanups


def _cancel(work: ExternalWork) -> None:
    handle = work.handle
    what = f"{handle.kind} {handle.id}"
    if not handle.is_reachable:
        problem = f"its block of type {handle.block!r} was not saved, so nothing here can reach it"
        raise ConfigurationError(what, problem, "End it by hand, where it runs.")
    cancel = getattr(Block.load(handle.block), "cancel_external", None)
    if cancel is None:
        problem = f"the block {handle.block!r} has no way to cancel it"
        raise ConfigurationError(what, problem, "End it by hand, where it runs.")
    cancel(handle)
