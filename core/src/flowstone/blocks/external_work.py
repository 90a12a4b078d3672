"""External work that blocks start: its name, and what earlier attempts have left running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import current_run
from flowstone.context.external_work import find_left_by_earlier_attempts, record_external_end
from flowstone.errors import FlowstoneError
from flowstone.logging.run_logger import RunLogger, get_logger

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from flowstone.blocks.base import Block
    from flowstone.records.events import ExternalHandle


def name_block(block: Block) -> str:
    """Return the name of a block in handles: ``type/name``; only ``type`` if it was not saved."""
    slug = block.block_type_slug()
    return f"{slug}/{block.name}" if block.name else slug


def find_logger(name: str) -> RunLogger | logging.Logger:
    """Return the logger of the current run; outside of a run, the logger of that name."""
    run = current_run()
    return get_logger(name) if run is None else RunLogger(run)


def cancel_left_behind(block: str, cancel: Callable[[ExternalHandle], object], logger: str) -> None:
    """Cancel what a block started in earlier attempts of the current run and left running.

    Args:
        block: the name of the block, from `name_block`.
        cancel: cancels one handle; a Flowstone error that it raises is logged as a warning.
        logger: the name of the logger outside of a run.
    """
    for handle in find_left_by_earlier_attempts(block):
        log = find_logger(logger)
        log.info("cancelling %s, which an earlier attempt left running", handle)
        try:
            cancel(handle)
        except FlowstoneError as error:
            log.warning("could not cancel %s, which may still be running: %s", handle, error)
        else:
            record_external_end(handle)
