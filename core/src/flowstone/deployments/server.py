"""Serve deployments: create the runs that are due, and execute each in its own process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from flowstone.deployments.creation import check_secrets
from flowstone.deployments.documents import save_deployment, set_paused_at_shutdown
from flowstone.deployments.executor import Placement
from flowstone.deployments.presence import Presence, choose_unserved
from flowstone.deployments.run_loop import RunLoop, find_limits, stop_by_signals
from flowstone.deployments.shared_store import check_shared_store
from flowstone.deployments.timetable import Timetable
from flowstone.engine.blocking_calls import call_blocking
from flowstone.errors import ConfigurationError
from flowstone.flow_runs.executions import is_loading_run
from flowstone.infrastructure.process import ProcessInfrastructure
from flowstone.logging.run_logger import get_logger
from flowstone.records.limits import SERVING
from flowstone.records.option_checks import check_limit_of_runs

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run

#: Default maximum of runs executed at a time.
LIMIT = 5

_logger = get_logger("deployments")


def serve(
    *deployments: Deployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
) -> None:
    """Create the runs of deployments when they are due, and execute them, until it is stopped.

    After SIGTERM or Ctrl-C it finishes the runs in progress, and then exits; a second signal ends
    those runs, too. Runs that have not started stay scheduled.

    Args:
        *deployments: made by `Flow.to_deployment`.
        pause_on_shutdown: whether times that pass while no process serves them are skipped. With
            False, the misfire policies of the schedules decide, as they do after a crash.
        print_starting_message: whether to log at the start what is served.
        limit: the maximum number of runs executed at a time; None for 5.

    Raises:
        ConfigurationError: there is nothing to serve; one belongs to a work pool; the store is in
            memory or on a network, so that other processes can't share it; or the program is only
            imported, to execute one of the runs.
    """
    server = _open_server(deployments, limit, pauses=pause_on_shutdown)
    with stop_by_signals(server):  # before others see it, and may want it to stop
        _begin(server, deployments, logs_start=print_starting_message)
        server.run_until_stopped()


def aserve(
    *deployments: Deployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
) -> Coroutine[object, object, None]:
    """Async version of `serve`. Cancelling it stops it."""
    return _aserve(deployments, limit, pauses=pause_on_shutdown, logs_start=print_starting_message)


async def _aserve(
    deployments: Sequence[Deployment], limit: int | None, *, pauses: bool, logs_start: bool
) -> None:
    server = await call_blocking(partial(_open_server, deployments, limit, pauses=pauses))
    with stop_by_signals(server):
        await call_blocking(partial(_begin, server, deployments, logs_start=logs_start))
        await server.arun_until_stopped()


def _open_server(
    deployments: Sequence[Deployment], limit: int | None, *, pauses: bool
) -> DeploymentServer:
    _check_call(deployments, limit)
    limit = LIMIT if limit is None else limit
    return DeploymentServer(deployments, limit=limit, pause_on_shutdown=pauses)


def _begin(
    server: DeploymentServer, deployments: Sequence[Deployment], *, logs_start: bool
) -> None:
    """Save the deployments, log what is served, and prepare for executing many runs."""
    server.save(deployments)
    if logs_start:
        for each in deployments:
            rules = "; ".join(map(str, each.schedules)) or "on request"
            _logger.info("serving %s: %s", each.full_name, rules)
        _logger.info("start a run: flowstone deployment run %s", deployments[0].full_name)
    server.prepare()


def _check_call(deployments: Sequence[Deployment], limit: int | None) -> None:
    if is_loading_run():
        problem = "it was called while this file was being imported to execute a run of its flow"
        remedy = "Call it under: if __name__ == '__main__':"
        raise ConfigurationError("serve", problem, remedy)
    if not deployments:
        raise ConfigurationError("serve", "there is nothing to serve", "Pass a deployment.")
    for each in deployments:
        if each.work_pool_name is not None:
            problem = f"{each.full_name!r} belongs to the work pool {each.work_pool_name!r}"
            raise ConfigurationError("serve", problem, "Use `deploy`, and start a worker.")
        if each.environment is not None:
            # Only deployments with their own environment need it.
            from flowstone.code.run_environments import check_environment_file

            check_environment_file(each.environment, each.code)
    check_limit_of_runs("serve", limit)
    check_shared_store("serve")
    for each in deployments:
        check_secrets(each)


class DeploymentServer(RunLoop):
    """Serves deployments step by step.

    Args:
        deployments: those that are, or will be, saved.
        limit: the maximum number of runs executed at a time.
        pause_on_shutdown: whether to pause them if no other process serves them.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        limit: int,
        pause_on_shutdown: bool = True,
    ) -> None:
        super().__init__(limit)
        self._timetable = Timetable([each.full_name for each in deployments])
        self._pauses = pause_on_shutdown
        self._presence = Presence(SERVING)
        self._infrastructure = ProcessInfrastructure()

    def save(self, deployments: Sequence[Deployment]) -> None:
        """Save deployments after announcing that they are served: see `close`."""
        self._presence.announce([each.full_name for each in deployments])
        try:
            for each in deployments:
                save_deployment(each)
        except BaseException:
            self._presence.leave()
            raise

    def prepare(self) -> None:
        """Prepare for executing many runs."""
        self._infrastructure.prepare()

    def close(self) -> None:
        """Announce that they are no longer served here.

        A new program may serve them by now. It announces that before it saves them, which ends
        their pause; so a program that is not seen here before the pause is seen after it.
        """
        left = self._presence.leave()
        if not self._pauses:
            return
        unserved = choose_unserved(left)
        for name in unserved:
            set_paused_at_shutdown(name, is_paused=True)
        for name in set(unserved) - set(choose_unserved(unserved)):
            set_paused_at_shutdown(name, is_paused=False)

    def _look(self, now: float) -> float | None:
        soonest = self._timetable.tick(now)
        self._presence.announce(self._timetable.deployments)
        self._start_due_runs(self._timetable.deployments, now)
        return soonest

    def _place(self, run: Run) -> Placement | None:
        deployment = self._timetable.deployments[run.deployment or ""]
        variables = self._infrastructure.variables()
        return Placement(self._infrastructure, variables, find_limits(deployment))

    def _explain_own_limit(self, limit: int) -> str:
        return f"`serve` is at its limit of concurrent runs (limit={limit})"
