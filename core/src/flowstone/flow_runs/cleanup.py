"""Cancel external work that runs left running: jobs, queries, containers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.context.external_work import find_open_handles, record_end_of_left_behind
from flowstone.errors import ConfigurationError, FlowstoneError, RunNotEnded

if TYPE_CHECKING:
    from flowstone.context.external_work import ExternalWork


_BY_HAND = "Cancel it in the service itself."


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """The outcome of cancelling one piece of external work.

    Attributes:
        work: the work, and the run that started it.
        error: why it could not be cancelled; None if it has ended.
    """

    work: ExternalWork
    error: FlowstoneError | None = None


def cleanup_flow_run(run: str) -> list[CleanupResult]:
    """Cancel external work that a finished run, or a run it called, left running.

    The saved block that started each one is loaded, and with it its package.

    Args:
        run: its id, a part of it, or its name.

    Returns:
        One for each that was left running; if `error` is set, it may be running still.

    Raises:
        RunNotFound: there is no such run.
        RunNotEnded: it has not ended.
    """
    store = services().runs
    found = store.run(run)
    root = store.run(found.root_id)
    if not root.state.is_final():
        raise RunNotEnded(root.name, root.state.name, root.id)
    cleanups = []
    for work in find_open_handles(found):
        try:
            _cancel(work)
            record_end_of_left_behind(root, work)
        except FlowstoneError as error:
            cleanups.append(CleanupResult(work, error))
        else:
            cleanups.append(CleanupResult(work))
    return cleanups


async def acleanup_flow_run(run: str) -> list[CleanupResult]:
    """Async version of `cleanup_flow_run`."""
    # Takes 40 ms to import, and most programs don't need it.
    import asyncio

    return await asyncio.to_thread(cleanup_flow_run, run)


def _cancel(work: ExternalWork) -> None:
    handle = work.handle
    what = f"{handle.kind} {handle.id}"
    if not handle.is_reachable:
        problem = f"it was started by an unsaved block of type {handle.block!r}"
        raise ConfigurationError(what, problem, _BY_HAND)
    # Importing pydantic takes 100 ms, and most runs have left nothing that a block has to cancel.
    from flowstone.blocks.base import Block

    cancel = getattr(Block.load(handle.block), "cancel_external", None)
    if cancel is None:
        problem = f"the block {handle.block!r} can't cancel it"
        raise ConfigurationError(what, problem, _BY_HAND)
    cancel(handle)
