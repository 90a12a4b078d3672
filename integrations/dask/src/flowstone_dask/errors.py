"""What Dask says of a call that did not come to its end, in Flowstone's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import KilledWorker

from flowstone.errors import CrashedRun, NotSendable, ProcessLost

if TYPE_CHECKING:
    from flowstone.task_runners.remote_pool import SentCall


def describe_loss(error: BaseException | None, call: SentCall) -> Exception:
    """Return why a call has no end of its own, from what its future on the cluster failed with.

    Args:
        error: None where the scheduler knows nothing of the call any more.
        call: the call.
    """
    told: Exception
    if error is None:
        told = ProcessLost(call.name, call.run_id, "the Dask cluster no longer knows its call")
    elif isinstance(error, KilledWorker):
        worker = error.last_worker.address
        told = ProcessLost(call.name, call.run_id, f"its Dask worker {worker} died")
    elif isinstance(error, ImportError):
        told = NotSendable(f"the call of {call.name!r}", f"a Dask worker lacks {error.name!r}")
    else:
        told = CrashedRun(call.name, f"the Dask cluster could not make its call: {error!r}")
    told.__cause__ = error
    return told


def describe_lost_value(error: BaseException, call: SentCall) -> Exception:
    """Return why the value of a call that has completed can't be had."""
    problem = f"the Dask worker that held its value is gone ({error!r}); persist_result=True keeps"
    return ProcessLost(call.name, call.run_id, f"{problem} values elsewhere")
