"""Serve deployments: make the runs that are due, and execute each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.documents import (
    find_deployments,
    save_deployment,
    set_paused_at_shutdown,
)
from flowstone.deployments.presence import Presence, choose_unserved
from flowstone.deployments.ticks import make_due_runs
from flowstone.errors import ConfigurationError, Conflict, RunNotFound
from flowstone.flow_runs.executions import is_loading_run, is_waiting
from flowstone.logging.run_logger import get_logger
from flowstone.records.events import make_change_event
from flowstone.records.runs import RunQuery
from flowstone.records.states import AwaitingConcurrencySlot, Crashed
from flowstone.settings import make_child_environ

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run
    from flowstone.records.states import State

#: How many runs are executed at a time, where nobody says.
LIMIT = 5
#: Seconds between two looks for runs that are due.
LOOK = 1.0
#: Seconds between two looks at processes that should end soon.
_LOOK_AT_ENDS = 0.1
#: Seconds that a run has to end when it was told to.
_PATIENCE = 10.0
#: Seconds within which a second signal to stop is the first one.
_SAME_TIME = 1.0
#: So many runs that wait are told why at a time.
_TOLD = 100

_WAITING = ("Scheduled", "AwaitingConcurrencySlot")
_logger = get_logger("deployments")


def serve(
    *deployments: Deployment,
    pause_on_shutdown: bool = True,
    print_starting_message: bool = True,
    limit: int | None = None,
) -> None:
    """Make the runs of deployments when they are due, and execute them, until it is stopped.

    SIGTERM or Ctrl-C ends it when the runs that are being executed have ended; a second one ends
    those, too. Runs that nobody has started stay scheduled.

    Args:
        *deployments: made by `Flow.to_deployment`.
        pause_on_shutdown: whether times that pass while no process serves them are skipped. With
            False, the misfire policies of the schedules decide, as they do after a crash.
        print_starting_message: whether what is served is logged at the start.
        limit: the number of runs that are executed at a time; None for 5.

    Raises:
        ConfigurationError: there is nothing to serve; the store is in memory, so that no other
            process has it; or the program is only imported, to execute one of the runs.
    """
    _check_call(deployments, limit)
    presence = Presence()
    server = DeploymentServer(
        _save(deployments, presence),
        limit=LIMIT if limit is None else limit,
        pause_on_shutdown=pause_on_shutdown,
        presence=presence,
    )
    if print_starting_message:
        for each in deployments:
            rules = "; ".join(map(str, each.schedules)) or "when somebody asks for a run"
            _logger.info("serving %s: %s", each.full_name, rules)
        _logger.info("start a run: flowstone deployment run %s", deployments[0].full_name)
    with _stop_by_signals(server):
        server.run_until_stopped()


def _check_call(deployments: Sequence[Deployment], limit: int | None) -> None:
    if is_loading_run():
        problem = "it was called while this file was being imported to execute a run of its flow"
        remedy = "Call it under: if __name__ == '__main__':"
        raise ConfigurationError("serve", problem, remedy)
    if not deployments:
        raise ConfigurationError("serve", "there is nothing to serve", "Pass a deployment.")
    if limit is not None and limit < 1:
        raise ConfigurationError("serve", f"limit={limit} lets no run start", "Pass 1 or more.")
    if services().settings.store == "memory":
        problem = "the store is in memory, so the processes that execute the runs can't read it"
        raise ConfigurationError("serve", problem, "Unset FLOWSTONE_STORE.")


def _save(deployments: Sequence[Deployment], presence: Presence) -> list[Deployment]:
    """Save deployments, and say before that they are served: see `DeploymentServer.close`."""
    presence.announce([each.full_name for each in deployments])
    try:
        return [save_deployment(each) for each in deployments]
    except BaseException:
        presence.leave()
        raise


class DeploymentServer:
    """Serves deployments step by step.

    Args:
        deployments: saved ones.
        limit: the number of runs that are executed at a time.
        pause_on_shutdown: whether they are paused where nobody else serves them.
        presence: where it has been said already that they are served.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        *,
        limit: int,
        pause_on_shutdown: bool = True,
        presence: Presence | None = None,
    ) -> None:
        self._names = [each.full_name for each in deployments]
        self._limit = limit
        self._pauses = pause_on_shutdown
        self._presence = presence or Presence()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped_at: float | None = None
        self._ends_runs = False
        self._kill_at: float | None = None

    @property
    def running(self) -> list[str]:
        """The ids of the runs that have a process."""
        return list(self._processes)

    def stop(self) -> None:
        """Start no run any more; the second time, end those that are being executed.

        A second time at once is the same one: some send a signal to a process and to its group.
        """
        now = services().clock.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
        elif now >= self._stopped_at + _SAME_TIME:
            self._ends_runs = True

    def run_until_stopped(self) -> None:
        """Serve until `stop` is called, and all processes have ended."""
        clock = services().clock
        try:
            while self._stopped_at is None or self._processes:
                clock.sleep(self.step())
        finally:
            self.close()

    def step(self) -> float:
        """Do what there is to do now, and return after how many seconds to look again."""
        self._collect()
        if self._stopped_at is not None:
            self._end_processes()
            return _LOOK_AT_ENDS
        now = services().clock.time()
        found = {each.full_name: each for each in find_deployments(self._names)}
        for name in [name for name in self._names if name not in found]:
            _logger.warning("%s has been deleted, and is no longer served", name)
            self._names.remove(name)
        self._presence.announce(self._names)
        next_times = [make_due_runs(each, now) for each in found.values() if not each.is_paused]
        self._start_runs(now)
        soonest = min((at for at in next_times if at is not None), default=now + LOOK)
        most = _LOOK_AT_ENDS if self._processes else LOOK
        return max(0.0, min(most, soonest - now))

    def close(self) -> None:
        """Say that nobody serves them here.

        A new program may have come to serve them meanwhile. It says so before it saves them, which
        ends their pause, so whoever is not seen here before the pause is seen after it.
        """
        left = self._presence.leave()
        if not self._pauses:
            return
        unserved = choose_unserved(left)
        for name in unserved:
            set_paused_at_shutdown(name, is_paused=True)
        for name in set(unserved) - set(choose_unserved(unserved)):
            set_paused_at_shutdown(name, is_paused=False)

    def _start_runs(self, now: float) -> None:
        free = self._limit - len(self._processes)
        query = RunQuery(
            deployments=tuple(self._names),
            states=_WAITING,
            scheduled_until=now,
            limit=len(self._processes) + max(free, 0) + _TOLD,
        )
        found = services().runs.runs(query) if self._names else []
        waiting = [run for run in found if is_waiting(run) and run.id not in self._processes]
        for run in waiting[: max(free, 0)]:
            self._processes[run.id] = _start_process(run)
        for run in waiting[max(free, 0) :]:
            self._tell_limit(run)

    def _tell_limit(self, run: Run) -> None:
        """Say in the run itself that it waits for others to end."""
        if run.state.name == "AwaitingConcurrencySlot":
            return
        message = f"`serve` is executing as many runs as it may at a time (limit={self._limit})"
        _record(run, AwaitingConcurrencySlot(message))

    def _collect(self) -> None:
        """Take note of processes that have ended; a run that one has not taken has crashed."""
        ended = {key: each.poll() for key, each in self._processes.items()}
        ended = {key: code for key, code in ended.items() if code is not None}
        if ended:
            services().runs.reap()  # whoever was killed left a run behind
        for run_id, code in ended.items():
            del self._processes[run_id]
            try:
                run = services().runs.run(run_id)
            except RunNotFound:
                continue
            if is_waiting(run) and not self._ends_runs:
                message = f"its process ended with exit code {code} before it began"
                _record(run, Crashed(message))

    def _end_processes(self) -> None:
        """End what is being executed, where somebody has asked for that."""
        if not self._ends_runs:
            return
        now = services().clock.monotonic()
        if self._kill_at is None:
            self._kill_at = now + _PATIENCE
            for process in self._processes.values():
                process.terminate()
        elif now >= self._kill_at:
            for process in self._processes.values():
                process.kill()


def _record(run: Run, state: State) -> None:
    try:
        services().runs.record(make_change_event(run, state, run.attempt))
    except Conflict:
        return  # it has moved on meanwhile


def _start_process(run: Run) -> subprocess.Popen[bytes]:
    """Execute a run in a process and a session of its own, so that Ctrl-C reaches only this one."""
    return subprocess.Popen(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "flowstone", "run", "execute", run.id],
        env=make_child_environ(services().settings),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def _stop_by_signals(server: DeploymentServer) -> Iterator[None]:
    """Stop the server by SIGTERM and SIGINT, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        server.stop()
        told = (
            "starting no more runs, and waiting for those that are running; repeat it to stop them"
        )
        _logger.info("%s: %s", signal.Signals(number).name, told)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
