"""The options of deployments, as keyword arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from flowstone.records.deployments import ConcurrencyLimitConfig
    from flowstone.records.schedules import Schedule


class DeploymentOptions(TypedDict, total=False):
    """The options of `Flow.to_deployment`. Pass at most one of the first five.

    Attributes:
        interval: seconds or a `timedelta` between two runs, or a list of them.
        cron: a cron string in UTC, such as ``"0 9 * * MON-FRI"``, or a list of them.
        rrule: a recurrence rule (RFC 5545) in UTC, or a list of them.
        schedule: a `Cron`, `Interval` or `RRule` of `flowstone.schedules`.
        schedules: a list of schedules.
        paused: whether its schedules are paused, and create no runs.
        parameters: the parameters of each run, by name.
        description: a description for people; None for the flow's.
        tags: tags of each run, in addition to the flow's.
        version: the version of the deployment; None for the flow's.
        enforce_parameter_schema: whether parameters are checked against the flow's type hints
            before a run is created; True by default.
        work_pool_name: the pool whose workers execute its runs.
        work_queue_name: the queue of the pool; None for the default one.
        job_variables: variables of its jobs that override the pool's defaults, by name; ``env.X``
            is the environment variable X.
        concurrency_limit: the maximum number of concurrent runs, or a `ConcurrencyLimitConfig`,
            which also defines what happens to further runs.
        requirements: the packages of its runs, which then have their own Python environment: a
            list of requirements as for pip, or the name of a file in the code that lists them (a
            ``.txt`` file, ``pyproject.toml``, or ``uv.lock``). None for the worker's environment.
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
    """The options of `Flow.serve`: those of `Flow.to_deployment` and of `serve`.

    Attributes:
        pause_on_shutdown: whether times that pass while no process serves it are skipped; True by
            default.
        print_starting_message: whether to log at the start which deployments are served; True by
            default.
        limit: the maximum number of concurrent runs; None for 5.
    """

    pause_on_shutdown: bool
    print_starting_message: bool
    limit: int | None
