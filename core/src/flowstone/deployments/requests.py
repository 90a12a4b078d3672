"""Start a run of a deployment, and wait for its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypedDict, Unpack

from flowstone.context import current
from flowstone.context.current import services
from flowstone.context.runtime import snapshot_run
from flowstone.deployments.creation import check_new_parameters, create_run
from flowstone.deployments.documents import load_deployment
from flowstone.deployments.idempotency import choose_run_id, find_run
from flowstone.deployments.run_options import check_options, keep_options
from flowstone.engine.blocking_calls import call_blocking, finish_blocking
from flowstone.errors import CancelSignal, ConfigurationError, suggest_names
from flowstone.flow_runs.subruns import note_subrun, request_cancel
from flowstone.flow_runs.waits import POLL_INTERVAL, await_end, wait_for_end
from flowstone.records.ids import new_id
from flowstone.records.option_checks import check_seconds, check_type
from flowstone.records.states import CANCELLED, CANCELLING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from flowstone.records.runs import Run


class RequestOptions(TypedDict, total=False):
    """Further options of a requested run.

    Attributes:
        scheduled_time: the scheduled time; by default now. Without a time zone it is a local time.
        flow_run_name: a name for the run; by default a random one.
        tags: tags of the run, in addition to those of the deployment.
        idempotency_key: all requests of the deployment with the same key return the same run,
            whatever its state.
        work_queue_name: the queue of the deployment's work pool, for this run only.
        as_subflow: whether a run requested within a run is a part of it: it is displayed below it,
            and cancelled with it. By default it is.
        job_variables: variables of the job, for this run only; checked against the work pool.
        client: None; the store is that of the settings.
    """

    scheduled_time: datetime | None
    flow_run_name: str | None
    tags: Iterable[str] | None
    idempotency_key: str | None
    work_queue_name: str | None
    as_subflow: bool
    job_variables: Mapping[str, object] | None
    client: None


def run_deployment(
    name: str,
    parameters: Mapping[str, object] | None = None,
    *,
    timeout: float | None = None,
    poll_interval: float = POLL_INTERVAL,
    **options: Unpack[RequestOptions],
) -> Run:
    """Run a deployment, and wait until a process that serves it has executed the run.

    If the waiting code is cancelled, so is the run, if it is a part of that code's run.

    Args:
        name: the deployment: ``flow/name``, or its own name if that is unique.
        parameters: by name; they override those of the deployment.
        timeout: seconds to wait for the end; 0 does not wait. None waits forever, even if no
            process serves the deployment.
        poll_interval: seconds between two polls.
        **options: see `RequestOptions`.

    Returns:
        The current run; with a timeout, it may not have ended. A failure of the flow is not
        raised.

    Raises:
        ObjectNotFound: there is no such deployment; or its work pool has no such queue.
        ParameterTypeError: the parameters don't match the flow's; no run was created.
        ConfigurationError: the job variables don't match the pool, or an option is unknown.
    """
    _check_waiting(timeout, poll_interval)
    run = make_run(name, parameters, options)
    try:
        run = wait_for_end(run, timeout=timeout, poll_interval=poll_interval)
        _end_with_part(run)
        return run
    except (CancelSignal, KeyboardInterrupt):
        _cancel_part(run, options)
        raise


def arun_deployment(
    name: str,
    parameters: Mapping[str, object] | None = None,
    *,
    timeout: float | None = None,
    poll_interval: float = POLL_INTERVAL,
    **options: Unpack[RequestOptions],
) -> Coroutine[object, object, Run]:
    """Async version of `run_deployment`."""
    return _run_deployment(name, parameters, timeout, poll_interval, options)


async def _run_deployment(
    name: str,
    parameters: Mapping[str, object] | None,
    seconds: float | None,
    poll_interval: float,
    options: RequestOptions,
) -> Run:
    import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

    _check_waiting(seconds, poll_interval)
    run = await call_blocking(make_run, name, parameters, options)
    try:
        run = await await_end(run, seconds=seconds, poll_interval=poll_interval)
        await call_blocking(_end_with_part, run)
    except (asyncio.CancelledError, CancelSignal, KeyboardInterrupt):
        await finish_blocking(partial(_cancel_part, run, options), [])
        raise
    return run


def make_run(
    name: str,
    parameters: Mapping[str, object] | None,
    options: RequestOptions,
    message: str = "requested by run_deployment",
) -> Run:
    """Check a request, and create its run; with an idempotency key, return an existing one.

    Args:
        name: the name of the deployment.
        parameters: parameters that override those of the deployment.
        options: the options of `run_deployment`.
        message: the origin of the request.
    """
    _check_names(options)
    _check_types(name, parameters, options)
    deployment = load_deployment(name)
    plain = check_new_parameters(
        deployment, {**deployment.parameters, **(parameters or {})}, is_complete=True
    )
    job = check_options(
        deployment, options.get("job_variables") or {}, options.get("work_queue_name")
    )
    run_id, key = new_id(), options.get("idempotency_key")
    if key is not None:
        run_id = choose_run_id(f"deployment {deployment.full_name}", key)
        made = find_run(run_id)
        if made is not None:
            return made
    # First, so that a run never exists without what belongs to it.
    if job and deployment.work_pool_name is not None:
        keep_options(deployment.work_pool_name, run_id, job)
    if options.get("as_subflow", True):
        note_subrun(run_id)
    due = options.get("scheduled_time")
    return create_run(
        deployment,
        plain,
        scheduled_time=services().clock.time() if due is None else due.timestamp(),
        message=message,
        name=options.get("flow_run_name"),
        tags=options.get("tags") or (),
        run_id=run_id,
    )


def _check_names(options: RequestOptions) -> None:
    known = [name for name in RequestOptions.__annotations__ if name != "client"]
    for name in options.keys() - set(known):
        if name == "client" and options["client"] is None:
            continue
        remedy = suggest_names(name, known).strip() or "Omit it: the settings name the store."
        raise ConfigurationError("run_deployment", f"there is no option {name!r}", remedy)


def _check_waiting(timeout: object, poll_interval: object) -> None:
    check_seconds("run_deployment", "timeout", timeout)
    check_seconds("run_deployment", "poll_interval", poll_interval)


def _check_types(name: object, parameters: object, options: RequestOptions) -> None:
    """Refuse values of wrong types before anything is stored."""
    due, run_name = options.get("scheduled_time"), options.get("flow_run_name")
    for what, value, kind, remedy in (
        ("name", name, str, "Pass 'flow/name'."),
        ("parameters", parameters, Mapping, "Pass a dict of the parameters by name."),
        ("scheduled_time", due, datetime, "Pass a datetime."),
        ("flow_run_name", run_name, str, "Pass a text."),
    ):
        check_type("run_deployment", what, value, kind, remedy)


def _end_with_part(run: Run) -> None:
    """End the run around this code now if it was cancelled together with the one it waited for.

    Raises:
        CancelSignal: it was.
    """
    scope = current.scope.get()
    if run.state.type is CANCELLED and scope is not None:
        root = services().runs.run(snapshot_run(scope).origin.root_id)
        if root.state.type is CANCELLING:
            reason = root.state.message
            raise CancelSignal() if reason is None else CancelSignal(reason)


def _cancel_part(run: Run, options: RequestOptions) -> None:
    """Cancel a run with the code that waits for it, if it is a part of that code's run."""
    if options.get("as_subflow", True) and current.scope.get() is not None:
        request_cancel(services().runs.run(run.id), "the caller that waited for it was cancelled")
