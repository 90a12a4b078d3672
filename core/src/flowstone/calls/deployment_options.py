"""The options of deployments, as calls give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from flowstone.records.deployments import ConcurrencyLimitConfig
    from flowstone.records.schedules import Schedule


class DeploymentOptions(TypedDict, total=False):
    """The options of `Flow.to_deployment`. At most one of the first five is given.

    Attributes:
        interval: seconds or a `timedelta` between two runs, or several of these.
        cron: a cron string in UTC, such as ``"0 9 * * MON-FRI"``, or several.
        rrule: a rule of RFC 5545 in UTC, or several.
        schedule: a `Cron`, `Interval` or `RRule` of `flowstone.schedules`.
        schedules: several of them.
        paused: whether its schedules make no runs for now.
        parameters: of each run, by name.
        description: what a person should know of it; None for the flow's.
        tags: of each run, beside the flow's.
        version: of the deployment; None for the flow's.
        enforce_parameter_schema: whether parameters are checked against the flow's type hints
            before a run is made; True by default.
        work_pool_name: the pool whose workers execute its runs.
        work_queue_name: the queue of the pool; None for the default one.
        job_variables: what its jobs have that differs from the pool's defaults, by name; ``env.X``
            is the variable X of the environment.
        concurrency_limit: how many of its runs are executed at a time, or a
            `ConcurrencyLimitConfig`, which says as well what becomes of the others.
        requirements: the packages of its runs, which then have a Python environment of their own:
            a list as for pip, or the name of a file of the code that lists them (a ``.txt`` file,
            ``pyproject.toml``, or ``uv.lock``). None for the environment of the worker.
    """

    interval: timedelta | float | Iterable[timedelta | float] | None
    cron: str | Iterable[str] | None
    rrule: str | Iterable[str] | None
    schedule: Schedule | None
    schedules: Sequence[Schedule] | None
    paused: bool | None
    parameters: Mapping[str, object] | None
    description: str | None
    tags: Iterable[str] | None
    version: str | None
    enforce_parameter_schema: bool
    work_pool_name: str | None
    work_queue_name: str | None
    job_variables: Mapping[str, object] | None
    concurrency_limit: int | ConcurrencyLimitConfig | None
    requirements: str | Sequence[str] | None


class ServeOptions(DeploymentOptions, total=False):
    """The options of `Flow.serve`: those of `Flow.to_deployment`, and of `serve`.

    Attributes:
        pause_on_shutdown: whether times that pass while no process serves it are skipped; True by
            default.
        print_starting_message: whether what is served is logged at the start; True by default.
        limit: the number of runs that are executed at a time; None for 5.
    """

    pause_on_shutdown: bool
    print_starting_message: bool
    limit: int | None
