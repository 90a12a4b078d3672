"""Progress artifacts of a run, updated while the work is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import current_run, services
from flowstone.records.events import ArtifactVersion, make_artifact_event
from flowstone.records.ids import new_id
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from flowstone.records.runs import Run


class RunProgress:
    """A progress artifact of a run; it may be updated from any thread.

    Args:
        run: the run that does the work.
        description: describes the work; secrets in it are masked.
    """

    def __init__(self, run: Run, description: str) -> None:
        self._run, self._description, self._id = run, redact(description), new_id()

    def record(self, percent: float) -> None:
        """Save a new version of the artifact, with a percentage from 0 to 100."""
        version = ArtifactVersion(self._id, "progress", None, self._description, percent)
        current = services()
        current.journal.append(make_artifact_event(self._run, current.clock.time(), version))


def begin_run_progress(description: str) -> RunProgress | None:
    """Create a progress artifact at 0 % in the current run; return None outside of a run."""
    run = current_run()
    if run is None:
        return None
    progress = RunProgress(run, description)
    progress.record(0.0)
    return progress
