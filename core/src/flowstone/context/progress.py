"""Progress of a run's work: an artifact that is updated while the work goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import current_run, services
from flowstone.records.events import ArtifactVersion, make_artifact_event
from flowstone.records.ids import new_id
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from flowstone.records.runs import Run


class RunProgress:
    """The progress artifact of one piece of work; any thread may record it.

    Args:
        run: does the work.
        description: says what it is; secrets in it are masked.
    """

    def __init__(self, run: Run, description: str) -> None:
        self._run, self._description, self._id = run, redact(description), new_id()

    def record(self, percent: float) -> None:
        """Save how far the work has come."""
        version = ArtifactVersion(self._id, "progress", None, self._description, percent)
        current = services()
        current.journal.append(make_artifact_event(self._run, current.clock.time(), version))


def begin_run_progress(description: str) -> RunProgress | None:
    """Record that a piece of work of the current run begins; return None outside of a run."""
    run = current_run()
    if run is None:
        return None
    begun = RunProgress(run, description)
    begun.record(0.0)
    return begun
