"""Flowstone's errors for calls that Ray could not complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray import exceptions

from flowstone.errors import CrashedRun, NotSendable, ProcessLost

if TYPE_CHECKING:
    from flowstone.task_runners.remote_pool import SentCall

#: Why a call was lost.
_LOSSES: dict[type[BaseException], str] = {
    exceptions.WorkerCrashedError: "its Ray worker died",
    exceptions.NodeDiedError: "its Ray node died",
    exceptions.LocalRayletDiedError: "the raylet of its Ray node died",
    exceptions.OutOfMemoryError: "Ray killed its worker because its node ran out of memory",
    exceptions.ObjectLostError: "the Ray node that held one of its arguments is gone",
    exceptions.RayActorError: "the actor for its messages can't be reached",
    ConnectionError: "the connection to the Ray cluster is lost",
}


def describe_loss(error: BaseException, call: SentCall) -> Exception:
    """Return the error for a lost call, from the exception of its object on the cluster."""
    told: Exception
    problem = next((text for kind, text in _LOSSES.items() if isinstance(error, kind)), None)
    if problem is not None:
        told = ProcessLost(call.name, call.run_id, problem)
    elif (missing := _find_missing(error)) is not None:
        problem = f"the module {missing!r} is not installed on a Ray worker"
        told = NotSendable(f"the call of {call.name!r}", problem)
    else:
        told = CrashedRun(call.name, f"the Ray cluster could not execute its call: {error!r}")
    told.__cause__ = error
    return told


def describe_lost_value(error: BaseException, name: str, run_id: str) -> Exception:
    """Return the error for a lost value of a completed call."""
    if isinstance(error, ConnectionError):
        cause = f"its value can't be read: {error}"
    else:
        cause = f"the Ray node that held its value is gone ({error!r})"
    problem = f"{cause}; persist_result=True stores results outside the cluster"
    return ProcessLost(name, run_id, problem)


def _find_missing(error: BaseException) -> str | None:
    cause = getattr(error, "cause", error)
    return cause.name if isinstance(cause, ImportError) else None
