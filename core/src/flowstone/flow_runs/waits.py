"""Wait for the end of flow runs that other processes execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import RunTimeout
from flowstone.logging.run_logger import get_logger
from flowstone.records.option_checks import check_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from uuid import UUID

    from flowstone.records.runs import Run

#: Default number of seconds between two polls.
POLL_INTERVAL = 0.5
#: Default number of seconds that `wait_for_flow_run` waits: three hours.
TIMEOUT = 10_800.0

_logger = get_logger("flow_runs")


def wait_for_flow_run(
    flow_run_id: str | UUID,
    timeout: float | None = TIMEOUT,
    poll_interval: float | None = None,
    *,
    log_states: bool = False,
) -> Coroutine[object, object, Run]:
    """Wait until a flow run has ended, whichever process executes it.

    In sync code, call it with `asyncio.run`.

    Args:
        flow_run_id: the run's id.
        timeout: the maximum number of seconds to wait; None for no limit.
        poll_interval: seconds between two polls of the store; None for 0.5.
        log_states: whether to log each change of the run's state.

    Returns:
        A coroutine that returns the run. A failure of the flow is not raised.

    Raises:
        RunNotFound: there is no such run.
        RunTimeout: it did not end in time; it continues.
    """
    interval = POLL_INTERVAL if poll_interval is None else poll_interval
    check_seconds("wait_for_flow_run", "timeout", timeout)
    check_seconds("wait_for_flow_run", "poll_interval", interval)
    return _await_flow_run(str(flow_run_id), timeout, interval, log_states=log_states)


async def _await_flow_run(
    run_id: str, seconds: float | None, poll_interval: float, *, log_states: bool
) -> Run:
    run = await call_blocking(_look, run_id)
    tell = _log_state if log_states else None
    run = await await_end(run, seconds=seconds, poll_interval=poll_interval, tell=tell)
    if not run.state.is_final():
        raise RunTimeout(f"waiting for {run.name}", seconds or 0.0, "The run continues.")
    return run


async def await_end(
    run: Run,
    *,
    seconds: float | None,
    poll_interval: float,
    tell: Callable[[Run], None] | None = None,
) -> Run:
    """Wait until a run has ended, or the seconds have passed; return its current state.

    Args:
        run: the run, as it was read last.
        seconds: the maximum number of seconds to wait; None for no limit.
        poll_interval: seconds between two polls of the store.
        tell: called with the run, and again each time its state has changed.
    """
    import asyncio  # takes 40 ms to import; in a coroutine it is loaded already

    loop = asyncio.get_running_loop()
    until = None if seconds is None else loop.time() + seconds
    told = None
    while True:
        if tell is not None and run.state != told:
            told = run.state
            tell(run)
        if run.state.is_final() or (until is not None and loop.time() >= until):
            return run
        left = poll_interval if until is None else until - loop.time()
        await asyncio.sleep(max(0.0, min(poll_interval, left)))
        run = await call_blocking(_look, run.id)


def wait_for_end(
    run: Run, *, timeout: float | None = None, poll_interval: float = POLL_INTERVAL
) -> Run:
    """Sync version of `await_end`."""
    clock = services().clock
    until = None if timeout is None else clock.monotonic() + timeout
    while not run.state.is_final() and (until is None or clock.monotonic() < until):
        left = poll_interval if until is None else until - clock.monotonic()
        clock.sleep(max(0.0, min(poll_interval, left)))
        run = _look(run.id)
    return run


def _look(run_id: str) -> Run:
    services().runs.reap()
    return services().runs.run(run_id)


def _log_state(run: Run) -> None:
    message = f": {run.state.message}" if run.state.message else ""
    _logger.info("run %s is %s%s", run.name, run.state.name, message)
