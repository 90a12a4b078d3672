"""Start a run of a deployment, and wait for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.creation import check_parameters, create_run
from flowstone.deployments.documents import load_deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from flowstone.records.runs import Run


def run_deployment(
    name: str,
    parameters: Mapping[str, object] | None = None,
    *,
    scheduled_time: datetime | None = None,
    flow_run_name: str | None = None,
    timeout: float | None = None,
    poll_interval: float = 0.5,
    tags: Iterable[str] | None = None,
) -> Run:
    """Start a run of a deployment, and wait until a process that serves it has executed it.

    Args:
        name: the deployment: ``flow/name``, or its own name where that is enough.
        parameters: by name; they override those of the deployment.
        scheduled_time: when it is due; None for now. Without a time zone it is a local time.
        flow_run_name: a name for the run; None for a random one.
        timeout: seconds to wait for the end; 0 does not wait. None waits for as long as it takes,
            also where no process serves the deployment.
        poll_interval: seconds between two looks.
        tags: of the run, beside those of the deployment.

    Returns:
        The run as it is then; it may not have ended where there is a timeout. A failure of the
        flow is not raised.

    Raises:
        ObjectNotFound: there is no such deployment.
        ParameterTypeError: the parameters do not fit the flow's; no run was made.
    """
    deployment = load_deployment(name)
    plain = check_parameters(
        deployment, {**deployment.parameters, **(parameters or {})}, is_complete=True
    )
    clock = services().clock
    run = create_run(
        deployment,
        plain,
        scheduled_time=clock.time() if scheduled_time is None else scheduled_time.timestamp(),
        message="asked for by run_deployment",
        name=flow_run_name,
        tags=tags or (),
    )
    return wait_for_end(run, timeout=timeout, poll_interval=poll_interval)


def wait_for_end(run: Run, *, timeout: float | None = None, poll_interval: float = 0.5) -> Run:
    """Wait until a run has ended, or the time is over; return it as it is then."""
    clock = services().clock
    until = None if timeout is None else clock.monotonic() + timeout
    while not run.state.is_final() and (until is None or clock.monotonic() < until):
        clock.sleep(poll_interval)
        services().runs.reap()
        run = services().runs.run(run.id)
    return run
