"""The code of runs that was pinned when they were created."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flowstone.calls.entrypoints import load_flow_from_entrypoint

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.calls.flow import Flow
    from flowstone.records.runs import CodeVersion, RestartInfo


def load_pinned_flow(recipe: RestartInfo) -> Flow[..., object]:
    """Return the flow of a run: of this process's copy of the code that the run was created with.

    Raises:
        ConfigurationError: there is none, or its code fails, which is the cause; or its code is
            not kept any more.
    """
    assert recipe.entrypoint is not None
    return load_flow_from_entrypoint(recipe.entrypoint, _open_copy(recipe.code))


def enter_code(recipe: RestartInfo) -> None:
    """Change to this process's copy of a run's code, where runs of that code start.

    Raises:
        ConfigurationError: the code is not kept any more.
    """
    if recipe.code is not None and recipe.code.is_workdir:
        folder = _open_copy(recipe.code)
        if folder is not None:
            os.chdir(folder)


def _open_copy(code: CodeVersion | None) -> Path | None:
    if code is None or code.snapshot is None:
        return None
    # Archives take 15 ms to load, which only runs of pinned code need.
    from flowstone.code.snapshots import open_copy

    return open_copy(code.snapshot)
