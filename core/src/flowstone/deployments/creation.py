"""Create scheduled runs of deployments, after checking their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from flowstone.calls.run_names import make_up_name
from flowstone.context.current import services
from flowstone.errors import ParameterTypeError
from flowstone.records.encoding import is_exact
from flowstone.records.events import KINDS, Event
from flowstone.records.ids import derive_id, new_id, read_time
from flowstone.records.runs import Origin, RestartInfo
from flowstone.records.secret_values import holds_secret
from flowstone.records.states import SCHEDULED, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowstone.flow_runs.requests import Schema
    from flowstone.records.deployments import Deployment
    from flowstone.records.runs import Run

_HIDDEN = "it holds a secret. Save it in a block and pass the block's name."


class TickKey(NamedTuple):
    """Identifies the run of a schedule among all runs of its deployment.

    Attributes:
        slug: the slug of the schedule.
        due: the scheduled time, in seconds since the epoch.
    """

    slug: str
    due: float


def check_parameters(
    deployment: Deployment,
    given: Mapping[str, object],
    *,
    is_complete: bool,
    is_saving: bool = False,
) -> dict[str, object]:
    """Return parameters as JSON values.

    Args:
        deployment: the deployment.
        given: the parameters by name.
        is_complete: whether these are all parameters of a run; otherwise others may follow.
        is_saving: whether the check is for saving the deployment, not for creating a run.

    Raises:
        ParameterTypeError: some are not valid; each is named, without its value.
    """
    # Importing pydantic takes 40 ms; only programs with deployments need it.
    from flowstone.flow_runs.requests import is_secret
    from flowstone.flow_runs.schemas import dump_plain, find_misfits

    schema: Schema = deployment.parameter_schema
    parts, definitions = schema.get("properties", {}), schema.get("$defs", {})
    plain: dict[str, object] = {}
    problems: dict[str, str] = {}
    for name, value in given.items():
        if is_secret(parts.get(name, {}), definitions):
            problems[name] = "it is a secret, and parameters are stored unencrypted: use a block"
            continue
        try:
            plain[name] = dump_plain(value)
        except ValueError as error:
            problems[name] = f"it can't be written as JSON: {error}"
            continue
        if holds_secret(plain[name]):
            problems[name] = _HIDDEN
        elif not is_exact(plain[name]):
            problems[name] = "it is too large or too deeply nested to be stored"
    if deployment.enforce_parameter_schema and schema:
        asked = schema if is_complete else {**schema, "required": []}
        problems = {**find_misfits(asked, plain, "parameter"), **problems}
    if problems:
        name = deployment.full_name
        outcome = f"deployment {name!r} was not saved"
        if not is_saving:
            outcome = f"no run of {name!r} was created"
        raise ParameterTypeError(name, problems, outcome)
    return plain


def check_new_parameters(
    deployment: Deployment,
    given: Mapping[str, object],
    *,
    is_complete: bool,
    is_saving: bool = False,
) -> dict[str, object]:
    """Check like `check_parameters`, and refuse values that are secrets of saved blocks."""
    if given:
        from flowstone.blocks.saved_secrets import register_saved_secrets  # as above

        register_saved_secrets()
    return check_parameters(deployment, given, is_complete=is_complete, is_saving=is_saving)


def check_secrets(deployment: Deployment) -> None:
    """Check that no parameter of a deployment or its schedules is a secret of a saved block.

    Raises:
        ParameterTypeError: one is.
    """
    for given in (deployment.parameters, *(each.parameters for each in deployment.schedules)):
        check_new_parameters(deployment, given or {}, is_complete=False, is_saving=True)


def create_run(
    deployment: Deployment,
    parameters: Mapping[str, object],
    *,
    scheduled_time: float,
    message: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    key: TickKey | None = None,
    run_id: str | None = None,
) -> Run:
    """Create a scheduled run; its parameters were checked.

    Args:
        deployment: the deployment.
        parameters: JSON values, by name.
        scheduled_time: the scheduled time, in seconds since the epoch.
        message: the origin of the run.
        name: its own name; None for a generated one.
        tags: in addition to those of the deployment.
        key: idempotency key: the deployment has one run per key, even with concurrent calls.
        run_id: its id, if known; there is one run per id, likewise.
    """
    current = services()
    now = current.clock.time()
    run_id = run_id or (derive_run_id(deployment, key) if key else new_id())
    origin = Origin(
        id=run_id,
        kind="flow",
        name=name or make_up_name(),
        unit=deployment.flow_name,
        root_id=run_id,
        parent_id=None,
        created=now,
        tags=tuple(sorted({*deployment.tags, *tags})),
        unit_version=deployment.version,
        parameters=dict(parameters),
        recipe=make_recipe(deployment),
        deployment=deployment.full_name,
        scheduled_time=scheduled_time,
    )
    run = origin.make_run(State(SCHEDULED, "Scheduled", message, now), 0)
    event_id = derive_id(read_time(run_id), run_id, "birth")  # the same for all concurrent calls
    current.runs.create(Event(event_id, KINDS["flow"][SCHEDULED], run_id, run_id, now, run))
    return run


def make_recipe(deployment: Deployment) -> RestartInfo:
    """Return what a process needs to execute a run that is created now, with the current code."""
    return RestartInfo(
        deployment.entrypoint, code=deployment.code, environment=deployment.environment
    )


def derive_run_id(deployment: Deployment, key: TickKey, *facts: str) -> str:
    """Return the id of a schedule's run; with further facts, of something that belongs to it."""
    return derive_id(key.due, deployment.id, key.slug, repr(key.due), *facts)
