"""Errors for calls that Dask reports as lost or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import KilledWorker

from flowstone.errors import CrashedRun, NotSendable, ProcessLost

if TYPE_CHECKING:
    from flowstone.task_runners.remote_pool import SentCall


def describe_loss(error: BaseException | None, call: SentCall) -> Exception:
    """Return the error for a call without a result, given the exception of its future.

    Args:
        error: the exception; None if the scheduler no longer knows the call.
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
        told = CrashedRun(call.name, f"the Dask cluster could not run its call: {error!r}")
    told.__cause__ = error
    return told


def describe_lost_value(error: BaseException, name: str, run_id: str) -> Exception:
    """Return the error for the lost value of a completed call."""
    problem = f"the Dask worker that held its value is gone ({error!r}); persist_result=True stores"
    return ProcessLost(name, run_id, f"{problem} results outside the cluster")
