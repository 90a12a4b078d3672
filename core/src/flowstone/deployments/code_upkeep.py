"""Remove code and environments that are no longer needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.documents import find_deployments
from flowstone.errors import FlowstoneError
from flowstone.logging.run_logger import get_logger
from flowstone.ports.paging import iterate_runs
from flowstone.records.runs import RunQuery
from flowstone.records.states import TERMINAL, StateType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds between two removals, by any process.
INTERVAL = 3600.0
#: Seconds for which an unused environment is retained.
ENVIRONMENTS_KEPT = 30 * 24 * 3600.0

_logger = get_logger("deployments")


def remove_unneeded_code(now: float) -> None:
    """Remove what no deployment and no unfinished run needs, at most once an hour.

    Args:
        now: seconds since the epoch.
    """
    home = services().settings.home
    try:
        if not ((home / "code").is_dir() and _is_due(home / "code" / "looked-at", now)):
            return
        # Archives take 15 ms to import; only workers with pinned code need them, once an hour.
        from flowstone.code.environments import remove_environments
        from flowstone.code.snapshots import remove_snapshots

        remove_snapshots(set(_find_needed()), now)
        remove_environments(home / "environments", now - ENVIRONMENTS_KEPT)
    except (FlowstoneError, OSError) as error:
        _logger.warning("old code could not be removed: %s", error)


def _is_due(mark: Path, now: float) -> bool:
    if mark.exists() and abs(now - mark.stat().st_mtime) < INTERVAL:
        return False
    mark.touch()
    os.utime(mark, (now, now))
    return True


def _find_needed() -> Iterator[str]:
    """Yield the snapshots of deployments, and of runs that have not ended."""
    # Deployments first: a run that is created in the meantime has the code of one of them.
    for deployment in find_deployments():
        if deployment.code is not None and deployment.code.snapshot is not None:
            yield deployment.code.snapshot
    unfinished = tuple(each.value for each in StateType if each not in TERMINAL)
    for run in iterate_runs(services().runs, RunQuery(roots=True, states=unfinished)):
        code = None if run.recipe is None else run.recipe.code
        if code is not None and code.snapshot is not None:
            yield code.snapshot
