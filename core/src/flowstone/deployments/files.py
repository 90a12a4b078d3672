"""`flowstone.yaml`: deployments declared in a file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from flowstone.deployments.declarations import (
    apply_options,
    check_environment,
    check_placement,
    describe_source,
)
from flowstone.deployments.documents import (
    delete_deployment,
    find_deployments,
    merge_saved,
    save_deployment,
)
from flowstone.deployments.flow_source import read_flow_source
from flowstone.errors import ConfigurationError, FlowstoneError, suggest_names
from flowstone.manifests.source import Problems, read
from flowstone.records.deployments import (
    KIND,
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    Deployment,
    encode_deployment,
)
from flowstone.records.names import check_part_name
from flowstone.records.schedules import Cron, Interval, RRule, encode_schedule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from typing import Literal

    from flowstone.calls.deployment_options import DeploymentOptions
    from flowstone.code.sources import CodeSource
    from flowstone.deployments.pull_steps import Pull
    from flowstone.manifests.source import ManifestFile
    from flowstone.records.codec import Json
    from flowstone.records.schedules import Schedule

#: The file that `flowstone deploy` reads by default.
FILE = "flowstone.yaml"
_TOP = ("prefect-version", "name", "deployments", "build", "push", "pull")
_KEYS = (
    *("name", "entrypoint", "flow_name", "version", "tags", "description", "parameters"),
    *("enforce_parameter_schema", "schedule", "schedules", "paused", "concurrency_limit"),
    *("work_pool", "pull", "requirements"),
)
#: Keys of Prefect's files, and why they are refused.
_REFUSED = {
    **dict.fromkeys(
        ("build", "push"),
        "nothing is built: deploying stores the code, and each run gets a copy; remove it",
    ),
    "version_type": "the version is what `version` says, or a hash of the file; remove it",
    "triggers": "there are no triggers; remove it",
    "sla": "there are no service levels; remove it",
}
_RULES = {"cron": Cron, "interval": Interval, "rrule": RRule}


class DeployStep(NamedTuple):
    """The change of one deployment.

    Attributes:
        action: ``create``, ``change``, ``keep`` or ``delete``.
        made: the deployment as it will be saved, or that is deleted.
        changes: old and new values, by the names of fields.
    """

    action: Literal["create", "change", "keep", "delete"]
    made: Deployment
    changes: dict[str, tuple[object, object]]


def read_deployments(file: Path) -> list[Deployment]:
    """Read the deployments that a file declares; flows are parsed, and not imported.

    Raises:
        ManifestInvalid: the file has problems; the message lists all of them, with their lines.
        ConfigurationError: the file can't be read.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"it can't be read: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError(str(file), problem, "Name another file with --file.") from error
    source = read(str(file), text, _TOP, needs_format=False)
    problems = Problems()
    _refuse_keys(source, (), source.data, problems)
    declared = source.data.get("deployments")
    if not isinstance(declared, list) or not declared:
        problems.add(source, ("deployments",), "list the deployments here, each with its keys")
        declared = []
    made = []
    for number, body in enumerate(declared):
        place = ("deployments", str(number))
        known = len(problems.found)
        _check_keys(source, place, body, problems)
        if len(problems.found) > known:
            continue
        try:
            made.append(_make_deployment({"pull": source.data.get("pull"), **body}, file))
        except FlowstoneError as error:
            problems.add(source, place, str(error))
    names = [each.full_name for each in made]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(source, ("deployments",), f"{name!r} is declared twice")
    problems.check()
    return made


def plan_deployments(
    declared: Collection[Deployment], names: Collection[str], file: Path, *, prune: bool
) -> list[DeployStep]:
    """Return the steps of deploying, without doing anything yet.

    Args:
        declared: the deployments that the file declares.
        names: the ones to deploy: ``flow/name``, or their own names.
        file: the file.
        prune: whether to delete deployments that the file used to declare, and no longer does.

    Raises:
        ConfigurationError: a name is not declared.
    """
    chosen = [_choose(name, declared) for name in names]
    saved = {each.full_name: each for each in find_deployments()}
    steps = [_compare(each, saved.get(each.full_name)) for each in chosen]
    if prune:
        kept = {each.full_name for each in declared}
        own = str(file.resolve())
        gone = [each for each in saved.values() if each.declared_in == own]
        steps += [DeployStep("delete", each, {}) for each in gone if each.full_name not in kept]
    return steps


def carry_out(step: DeployStep) -> None:
    """Carry out a step."""
    if step.action == "delete":
        delete_deployment(step.made.full_name)
    elif step.action != "keep":
        save_deployment(step.made)


def _choose(name: str, declared: Collection[Deployment]) -> Deployment:
    found = [each for each in declared if name in {each.full_name, each.name}]
    if len(found) == 1:
        return found[0]
    names = [each.full_name for each in found or declared]
    problem = (
        f"the file declares {len(found)} deployments of that name"
        if found
        else ("the file does not declare it")
    )
    raise ConfigurationError(f"deployment {name!r}", problem, suggest_names(name, names).strip())


def _compare(made: Deployment, old: Deployment | None) -> DeployStep:
    if old is None:
        return DeployStep("create", made, {})
    before, after = _describe(old), _describe(merge_saved(made, old))
    changes = {key: (before[key], after[key]) for key in after if before[key] != after[key]}
    return DeployStep("change" if changes else "keep", made, changes)


def _describe(deployment: Deployment) -> Json:
    """Return the compared values of a deployment: for schedules, those that are not defaults."""
    schedules = [_describe_schedule(each) for each in deployment.schedules]
    code = None if deployment.code is None else str(deployment.code)
    return {**encode_deployment(deployment), "schedules": schedules, "code": code}


def _describe_schedule(schedule: Schedule) -> Json:
    body = encode_schedule(schedule)
    kind = str(body["type"])
    usual = encode_schedule(_RULES[kind](body[kind]))
    return {key: each for key, each in body.items() if key == kind or usual[key] != each}


def _check_keys(
    source: ManifestFile, place: tuple[str, ...], body: object, problems: Problems
) -> None:
    if not isinstance(body, dict):
        problems.add(source, place, "write its keys, such as name and entrypoint")
        return
    _refuse_keys(source, place, body, problems)
    for key in body.keys() - {*_KEYS, *_REFUSED}:
        near = suggest_names(key, _KEYS).strip()
        problems.add(source, (*place, key), f"there is no such key. {near}")
    for key in ("name", "entrypoint"):
        if not isinstance(body.get(key), str):
            problems.add(source, place, f"{key} is missing")
    for key, kind, words in (
        ("tags", list, "a list of strings"),
        ("parameters", dict, "names with values"),
        ("work_pool", dict, "name, work_queue_name and job_variables"),
        ("schedules", list, "a list of schedules"),
        ("schedule", dict, "a schedule"),
        ("requirements", (list, str), "a list of requirements, or the name of a file"),
    ):
        if body.get(key) is not None and not isinstance(body[key], kind):
            problems.add(source, (*place, key), f"write {words}")


def _refuse_keys(
    source: ManifestFile, place: tuple[str, ...], body: Json, problems: Problems
) -> None:
    for key, reason in _REFUSED.items():
        if body.get(key):
            problems.add(source, (*place, key), reason)


def _make_deployment(body: Json, file: Path) -> Deployment:
    folder = file.resolve().parent
    pull = _read_pull(body.get("pull"), folder)
    plain = replace(
        _read_flow(body["entrypoint"], pull and pull.source, folder),
        name=check_part_name(KIND, body["name"]),
        declared_in=str(file.resolve()),
    )
    if body.get("flow_name") not in {None, plain.flow_name}:
        problem = f"the flow at {plain.entrypoint} is named {plain.flow_name!r}"
        raise ConfigurationError(f"flow_name {body['flow_name']!r}", problem, "Correct it.")
    options = {key: body[key] for key in _PLAIN if body.get(key) is not None}
    if pull is not None:
        options.setdefault("requirements", pull.requirements)
    options["schedules"] = list(_read_schedules(body))
    pool = body.get("work_pool") or {}
    options |= {_POOL[key]: value for key, value in _check_part("work_pool", pool, _POOL)}
    if pull is not None and pull.working_dir is not None:
        variables = cast("Json", options.get("job_variables") or {})
        options["job_variables"] = {"working_dir": pull.working_dir, **variables}
    limit = body.get("concurrency_limit")
    if isinstance(limit, dict):
        given = dict(_check_part("concurrency_limit", limit, ("limit", "collision_strategy")))
        strategy = given.get("collision_strategy", ConcurrencyLimitStrategy.ENQUEUE)
        limit = ConcurrencyLimitConfig(
            cast("int", given.get("limit", 0)), cast("ConcurrencyLimitStrategy", strategy)
        )
    made = apply_options(plain, cast("DeploymentOptions", {**options, "concurrency_limit": limit}))
    if made.work_pool_name is None:
        problem = "it has no work pool"
        raise ConfigurationError(f"deployment {made.full_name!r}", problem, _NEEDS_POOL)
    check_placement(made)
    check_environment(made)
    return made


def _read_pull(steps: object, folder: Path) -> Pull | None:
    if not steps:
        return None
    # Blocks and object stores; only needed by files with such steps.
    from flowstone.deployments.pull_steps import read_pull

    return read_pull(steps, folder)


def _read_flow(entrypoint: str, source: CodeSource | None, folder: Path) -> Deployment:
    """Return the deployment of a flow with its current code, without a name and options."""
    if source is not None:
        from flowstone.deployments.sources import read_source  # as above

        return read_source(source, entrypoint)
    found = read_flow_source(entrypoint, folder)
    # Archives take 15 ms to import, and a file with a mistake does not need them.
    from flowstone.code.pinning import pin_flow_file

    inside, code = pin_flow_file(found.entrypoint, folder)
    return replace(describe_source(found), entrypoint=inside, code=code)


_PLAIN = (
    *("version", "tags", "description", "parameters", "enforce_parameter_schema", "paused"),
    "requirements",
)
_POOL = {
    "name": "work_pool_name",
    "work_queue_name": "work_queue_name",
    "job_variables": "job_variables",
}
_NEEDS_POOL = "Write work_pool: {name: NAME}; `flowstone pool create NAME` creates one."


def _check_part(name: str, part: Json, known: Collection[str]) -> Iterator[tuple[str, object]]:
    """Yield the items of a part of a declaration, after checking its keys."""
    for key, value in part.items():
        if key not in known:
            problem = f"there is no key {key!r}"
            raise ConfigurationError(name, problem, suggest_names(key, known).strip())
        if value is not None:
            yield key, value


def _read_schedules(body: Json) -> Iterator[Schedule]:
    for each in [*(body.get("schedules") or ()), *filter(None, [body.get("schedule")])]:
        kinds = [kind for kind in _RULES if isinstance(each, dict) and kind in each]
        if len(kinds) != 1:
            problem = f"{each!r} has none of {', '.join(_RULES)}"
            raise ConfigurationError("a schedule", problem, 'Write one, as in cron: "0 3 * * *".')
        [kind] = kinds
        options = {key: value for key, value in each.items() if key != kind}
        try:
            yield _RULES[kind](each[kind], **options)
        except TypeError as error:
            problem = str(error).partition("() ")[2] or str(error)
            raise ConfigurationError(f"schedule {each[kind]!r}", problem, "Correct it.") from error
