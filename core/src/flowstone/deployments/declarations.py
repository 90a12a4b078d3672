"""Deployments of flows, declared in a program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Unpack, cast

from flowstone.calls.deployment_options import DeploymentOptions, ServeOptions
from flowstone.calls.parameter_schema import make_parameter_schema
from flowstone.calls.recipe import make_restart_info
from flowstone.deployments.creation import check_parameters, check_secrets
from flowstone.deployments.documents import name_schedules, save_deployment
from flowstone.deployments.server import serve
from flowstone.errors import ConfigurationError, ObjectNotFound, suggest_names
from flowstone.infrastructure.limits import check_concurrency_limit
from flowstone.records.deployments import (
    KIND,
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    Deployment,
)
from flowstone.records.names import check_part_name
from flowstone.records.schedules import Cron, Interval, RRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowstone.calls.flow import Flow
    from flowstone.deployments.flow_source import FlowSource
    from flowstone.records.schedules import Schedule

#: Options of Prefect for building an image of the code.
_BUILDING = {"image", "build", "push"}
_RULES = ("interval", "cron", "rrule", "schedule", "schedules")


class Deployable(Protocol):
    """A flow that can be deployed."""

    @property
    def name(self) -> str: ...
    def to_deployment(self, name: str, **options: Unpack[DeploymentOptions]) -> Deployment: ...


def make_deployment(flow: Flow[..., object], name: str, options: DeploymentOptions) -> Deployment:
    """Return the deployment of a flow; see `Flow.to_deployment`."""
    full_name = f"{flow.name}/{check_part_name(KIND, name)}"
    place = make_restart_info(flow, None)
    if place.entrypoint is None:
        problem = f"its flow can't be loaded by another process: {place.reason}"
        remedy = "Define the flow at the top level of a module."
        raise ConfigurationError(f"deployment {full_name!r}", problem, remedy)
    plain = Deployment(
        name=name,
        flow_name=flow.name,
        entrypoint=place.entrypoint,
        parameter_schema=make_parameter_schema(flow.parameters),
        enforce_parameter_schema=flow.spec.validate_parameters is not False,
        tags=tuple(flow.tags),
        description=flow.description,
        version=flow.version,
    )
    return apply_options(plain, options)


def describe_source(found: FlowSource) -> Deployment:
    """Return a deployment of a flow that was read from source; it has no name or options yet."""
    return Deployment(
        name="",
        flow_name=found.name,
        entrypoint=found.entrypoint,
        parameter_schema=found.parameter_schema,
        enforce_parameter_schema=found.enforces,
        description=found.description,
        version=found.version,
    )


def apply_options(plain: Deployment, options: DeploymentOptions) -> Deployment:
    """Return a deployment with options, after checking them.

    Args:
        plain: the deployment without options.
        options: see `DeploymentOptions`.

    Raises:
        ConfigurationError: several kinds of schedules are given, or an option is unknown.
        ScheduleInvalid: a schedule is not valid.
        ParameterTypeError: the parameters don't match the flow's.
    """
    _check_options(plain.full_name, options, DeploymentOptions)
    description, version = options.get("description"), options.get("version")
    enforces = options.get("enforce_parameter_schema", True)
    schedules = tuple(_make_schedules(plain.full_name, options))
    made = replace(
        plain,
        enforce_parameter_schema=enforces and plain.enforce_parameter_schema,
        tags=tuple(sorted({*plain.tags, *(options.get("tags") or ())})),
        description=plain.description if description is None else description,
        version=plain.version if version is None else version,
        schedules=name_schedules(plain.full_name, schedules),
        paused=bool(options.get("paused")),
    )
    made = _add_work_pool(_add_limit(made, options.get("concurrency_limit")), options)
    made = _add_environment(made, options.get("requirements"))
    return _add_parameters(made, options.get("parameters") or {})


def deploy_flow(flow: Deployable, name: str, options: DeploymentOptions) -> Deployment:
    """Deploy a flow; see `Flow.deploy`."""
    [made] = deploy(flow.to_deployment(name, **options))
    return made


def deploy(*deployments: Deployment, work_pool_name: str | None = None) -> list[Deployment]:
    """Save deployments, so that the workers of their pools execute their runs.

    Their code is pinned: runs execute this version until the deployments are deployed again. What
    an operator has changed is preserved: a pause, and added schedules.

    Args:
        *deployments: made by `Flow.to_deployment`.
        work_pool_name: the pool of those that name none.

    Returns:
        The saved deployments.

    Raises:
        ConfigurationError: one has no pool, its job variables don't fit the pool, or the directory
            of its code is too large; none is saved.
        ObjectNotFound: there is no such pool.
    """
    placed = []
    for each in deployments:
        made = each
        if made.work_pool_name is None:
            if work_pool_name is None:
                remedy = "Pass work_pool_name=…, or call `serve` to execute its runs here."
                raise ConfigurationError(_describe(made), "it has no work pool", remedy)
            made = replace(made, work_pool_name=work_pool_name)
        check_placement(made)
        placed.append(_pin(made))
    return [save_deployment(each) for each in placed]


def _pin(deployment: Deployment) -> Deployment:
    """Return a deployment with its current code pinned, unless it has pinned code already."""
    made = deployment
    if made.code is None:
        # Archives take 15 ms to import; only programs that deploy need them.
        from flowstone.code.pinning import pin_entrypoint

        entrypoint, code = pin_entrypoint(made.entrypoint)
        made = replace(made, entrypoint=entrypoint, code=code)
    check_environment(made)
    return made


def check_environment(deployment: Deployment) -> None:
    """Check that the code of a deployment has the requirements file of its runs.

    Raises:
        ConfigurationError: it does not, or the file is not valid.
    """
    if deployment.environment is not None:
        # Only deployments with their own environment need it.
        from flowstone.code.run_environments import check_environment_file

        check_environment_file(deployment.environment, deployment.code)


def check_placement(deployment: Deployment) -> None:
    """Check that a deployment's pool has its queue, and that its job variables are valid.

    None of them, and no parameter, may be a secret of a saved block.

    Raises:
        ObjectNotFound: there is no such pool, or it has no such queue.
        UnknownName: no installed package offers the pool's infrastructure.
        ConfigurationError: the variables are not valid, or contain a secret.
        ParameterTypeError: a parameter contains a secret.
    """
    # Importing pydantic takes 40 ms; only programs with work pools need it.
    from flowstone.infrastructure.variables import check_new_variables
    from flowstone.infrastructure.work_pools import load_infrastructure_of, load_work_pool

    assert deployment.work_pool_name is not None
    pool = load_work_pool(deployment.work_pool_name)
    if pool.find_queue(deployment.work_queue_name) is None:
        queues = [each.name for each in pool.queues]
        raise ObjectNotFound("work queue", deployment.work_queue_name or "", queues)
    check_secrets(deployment)
    check_new_variables(
        _describe(deployment),
        load_infrastructure_of(pool),
        pool.job_variables,
        deployment.job_variables,
    )


def serve_flow(flow: Deployable, name: str | None, options: ServeOptions) -> None:
    """Serve a flow; see `Flow.serve`."""
    name = flow.name if name is None else name
    _check_options(f"{flow.name}/{name}", options, ServeOptions)
    own = {key: value for key, value in options.items() if key in DeploymentOptions.__annotations__}
    serve(
        flow.to_deployment(name, **cast("DeploymentOptions", own)),
        pause_on_shutdown=options.get("pause_on_shutdown", True),
        print_starting_message=options.get("print_starting_message", True),
        limit=options.get("limit"),
    )


def _check_options(owner: str, options: Mapping[str, object], known: type[object]) -> None:
    """Refuse unknown options, and several kinds of schedules."""
    names = {name for kind in known.__mro__ for name in getattr(kind, "__annotations__", ())}
    for name in options.keys() & _BUILDING:
        problem = f"{name}=… has no effect: nothing is built"
        remedy = "Omit it: deploying stores the code, and each run gets a copy."
        raise ConfigurationError(f"deployment {owner!r}", problem, remedy)
    for name in options.keys() - names:
        problem = f"there is no option {name!r}"
        remedy = suggest_names(name, names).strip()
        raise ConfigurationError(f"deployment {owner!r}", problem, remedy)
    given = [name for name in _RULES if options.get(name) is not None]
    if len(given) > 1:
        problem = f"{' and '.join(given)} are given"
        remedy = "Use one of them; schedules=[…] takes several of any kind."
        raise ConfigurationError(f"deployment {owner!r}", problem, remedy)


def _add_parameters(made: Deployment, parameters: Mapping[str, object]) -> Deployment:
    """Return the deployment with its parameters and those of its schedules, after checking them."""
    plain = check_parameters(made, parameters, is_complete=False, is_saving=True)
    schedules = []
    for schedule in made.schedules:
        own = check_parameters(made, schedule.parameters or {}, is_complete=False, is_saving=True)
        check_parameters(made, {**plain, **own}, is_complete=True, is_saving=True)
        schedules.append(replace(schedule, parameters=own or None))
    return replace(made, parameters=plain, schedules=tuple(schedules))


def _make_schedules(owner: str, options: DeploymentOptions) -> Iterator[Schedule]:
    one = options.get("schedule")
    for schedule in [*(options.get("schedules") or ()), *([] if one is None else [one])]:
        _check_schedule(owner, schedule)
        yield schedule
    yield from (Cron(each) for each in _list_texts(options.get("cron")))
    yield from (RRule(each) for each in _list_texts(options.get("rrule")))
    interval = options.get("interval")
    if interval is not None:
        _refuse_text(owner, interval)
        several = interval if isinstance(interval, Iterable) else [interval]
        yield from (Interval(each) for each in several)


def _refuse_text(owner: str, interval: object) -> None:
    if isinstance(interval, str):  # a str is a sequence, too
        problem = f"interval={interval!r} is a string"
        remedy = "Pass a number of seconds, or a timedelta."
        raise ConfigurationError(f"deployment {owner!r}", problem, remedy)


def _add_limit(made: Deployment, given: int | ConcurrencyLimitConfig | None) -> Deployment:
    """Return the deployment with the concurrency limit of its runs."""
    if given is None:
        return made
    asked = given if isinstance(given, ConcurrencyLimitConfig) else ConcurrencyLimitConfig(given)
    owner = _describe(made)
    if type(asked.limit) is not int:
        remedy = "Use a number, or a ConcurrencyLimitConfig."
        raise ConfigurationError(owner, f"concurrency_limit={given!r} is not a number", remedy)
    try:
        strategy = ConcurrencyLimitStrategy(asked.collision_strategy)
    except ValueError:
        problem = f"there is no collision strategy {asked.collision_strategy!r}"
        remedy = f"Use one of {', '.join(ConcurrencyLimitStrategy)}."
        raise ConfigurationError(owner, problem, remedy) from None
    limit = check_concurrency_limit(owner, asked.limit)
    return replace(made, concurrency_limit=limit, collision_strategy=strategy)


def _add_environment(made: Deployment, given: str | Sequence[str] | None) -> Deployment:
    """Return the deployment with the packages of its runs."""
    if given is None:
        return made
    from flowstone.code.run_environments import read_requirements  # as above

    return replace(made, environment=read_requirements(given))


def _add_work_pool(made: Deployment, options: DeploymentOptions) -> Deployment:
    """Return the deployment with its work pool and queue."""
    pool, queue = options.get("work_pool_name"), options.get("work_queue_name")
    variables = dict(options.get("job_variables") or {})
    if pool is None and (queue is not None or variables):
        given = "work_queue_name" if queue is not None else "job_variables"
        problem = f"{given} is given without a work pool"
        raise ConfigurationError(_describe(made), problem, "Pass work_pool_name=… too.")
    return replace(made, work_pool_name=pool, work_queue_name=queue, job_variables=variables)


def _describe(deployment: Deployment) -> str:
    return f"deployment {deployment.full_name!r}"


def _check_schedule(owner: str, schedule: object) -> None:
    if not isinstance(schedule, Cron | Interval | RRule):
        problem = f"{schedule!r} is not a schedule"
        remedy = "Use Cron(…), Interval(…) or RRule(…) of flowstone.schedules."
        raise ConfigurationError(f"deployment {owner!r}", problem, remedy)


def _list_texts(rules: str | Iterable[str] | None) -> list[str]:
    """Return one or several as a list."""
    if rules is None:
        return []
    return [rules] if isinstance(rules, str) else list(rules)
