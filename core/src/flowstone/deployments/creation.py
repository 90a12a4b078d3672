"""Runs of deployments, as they are made: their parameters are checked, and they wait."""

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
    """What tells the run of a schedule from all others of its deployment.

    Attributes:
        slug: the schedule's.
        due: the time at which it is due, in seconds since the epoch.
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
        deployment: whose parameters they are.
        given: by name.
        is_complete: whether a run is to be made of these; otherwise others may follow.
        is_saving: whether they are checked to save the deployment, and not to make a run.

    Raises:
        ParameterTypeError: some do not fit; each is named, and no value is shown.
    """
    # pydantic: 40 ms of start-up, which only programs with deployments pay.
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
            problems[name] = "it is too large or too deep to be kept"
    if deployment.enforce_parameter_schema and schema:
        asked = schema if is_complete else {**schema, "required": []}
        problems = {**find_misfits(asked, plain), **problems}
    if problems:
        outcome = f"deployment {deployment.full_name!r} was not saved" if is_saving else None
        raise ParameterTypeError(deployment.full_name, problems, outcome)
    return plain


def check_new_parameters(
    deployment: Deployment,
    given: Mapping[str, object],
    *,
    is_complete: bool,
    is_saving: bool = False,
) -> dict[str, object]:
    """Do as `check_parameters` does, and compare them with the secrets of all saved blocks."""
    if given:
        from flowstone.blocks.saved_secrets import register_saved_secrets  # as above

        register_saved_secrets()
    return check_parameters(deployment, given, is_complete=is_complete, is_saving=is_saving)


def check_secrets(deployment: Deployment) -> None:
    """Check that no parameter of a deployment and of its schedules is a secret of a saved block.

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
    """Keep a run that waits for its time; its parameters were checked.

    Args:
        deployment: whose run it is.
        parameters: JSON values, by name.
        scheduled_time: when it is due, in seconds since the epoch.
        message: who made it.
        name: its own name; None for one that is made up.
        tags: beside those of the deployment.
        key: one run of the deployment is made for one key, however many try.
        run_id: its id, where that is known; one run is made for one id, likewise.
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
    event_id = derive_id(read_time(run_id), run_id, "birth")  # however many make it
    current.runs.create(Event(event_id, KINDS["flow"][SCHEDULED], run_id, run_id, now, run))
    return run


def make_recipe(deployment: Deployment) -> RestartInfo:
    """Return what a process needs to execute a run that is created now, and later ones not."""
    return RestartInfo(
        deployment.entrypoint, code=deployment.code, environment=deployment.environment
    )


def derive_run_id(deployment: Deployment, key: TickKey, *facts: str) -> str:
    """Return the id of the run of a schedule; with further facts, of what belongs to it."""
    return derive_id(key.due, deployment.id, key.slug, repr(key.due), *facts)
