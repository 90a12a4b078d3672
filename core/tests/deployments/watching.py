"""What tests of serving and of workers deploy and wait for."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flowstone.deployments.documents import save_deployment
from flowstone.records.runs import RunQuery

from . import flows

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.calls.flow import Flow
    from flowstone.context.current import Services
    from flowstone.deployments.run_loop import RunLoop
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run

P = ParamSpec("P")
R = TypeVar("R")


def deploy(flow: Flow[P, R], **options: object) -> Deployment:
    """Save a deployment whose flow other processes find by its file."""
    made = flow.to_deployment("x", **options)  # type: ignore[arg-type]
    place = f"{Path(flows.__file__)}:{flow.fn.__name__}"
    return save_deployment(replace(made, entrypoint=place))


def wait_until(condition: Callable[[], object]) -> None:
    """Look until it is so; a machine may be slow, and one that hangs is told."""
    until = monotonic() + 120
    while not condition():
        assert monotonic() < until, "it did not happen"
        sleep(0.02)


def step_until(loop: RunLoop, condition: Callable[[], object]) -> None:
    def look() -> object:
        loop.step()
        return condition()

    wait_until(look)


def find_runs(services: Services) -> list[Run]:
    return services.runs.runs(RunQuery(roots=True))


def has_ended(services: Services, count: int = 1) -> Callable[[], bool]:
    return lambda: sum(run.state.is_final() for run in find_runs(services)) >= count


def kill_process(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, signal.SIGKILL)
