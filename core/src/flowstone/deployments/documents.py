"""Saved deployments: what the code declares, and what an operator has changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.changes import note_change
from flowstone.errors import (
    ConfigurationError,
    Conflict,
    ObjectAlreadyExists,
    ObjectNotFound,
    StaleDocument,
)
from flowstone.infrastructure.limits import save_own_limit
from flowstone.ports.paging import iterate_documents, iterate_runs
from flowstone.records.deployments import (
    KIND,
    Deployment,
    encode_deployment,
    read_deployment,
)
from flowstone.records.events import make_change_event
from flowstone.records.ids import new_id
from flowstone.records.limits import DEPLOYMENT
from flowstone.records.runs import RunQuery
from flowstone.records.schedules import name_schedule
from flowstone.records.states import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flowstone.records.schedules import Schedule

#: The kind of the documents with the time up to which each schedule has created its runs.
PROGRESS = "schedule-progress"


def load_deployment(name: str) -> Deployment:
    """Return a deployment by its full name, ``flow/name``, or by its own name if that is unique.

    Raises:
        ObjectNotFound: there is none, or there are several; the message lists similar names.
    """
    documents = services().documents
    if "/" in name:
        return read_deployment(documents.get(KIND, name))
    saved = list(iterate_documents(documents, KIND))
    found = [each for each in saved if each.name.endswith(f"/{name}")]
    if len(found) != 1:
        raise ObjectNotFound(KIND, name, [each.name for each in found or saved])
    return read_deployment(found[0])


def find_deployments(names: Collection[str] | None = None) -> list[Deployment]:
    """Return the deployments with these full names; all of them for None."""
    documents = services().documents
    if names is None:
        return list(map(read_deployment, iterate_documents(documents, KIND)))
    return list(map(read_deployment, documents.find(KIND, names=names)))


def save_deployment(made: Deployment) -> Deployment:
    """Save what the code declares of a deployment; preserve what an operator has changed.

    Raises:
        ConfigurationError: two of its schedules have the same slug.
    """
    made = replace(made, schedules=name_schedules(made.full_name, made.schedules))

    if any(old.is_paused for old in find_deployments([made.full_name])):
        forget_progress(made.full_name)  # what was due during a pause is not made up for
    save_own_limit(f"{DEPLOYMENT}{made.full_name}", made.concurrency_limit)
    return _change(made.full_name, lambda old: merge_saved(made, old))


def merge_saved(made: Deployment, old: Deployment | None) -> Deployment:
    """Return a declared deployment merged with what an operator has changed in the saved one."""
    if old is None:
        return replace(made, id=new_id())
    slugs = {each.slug for each in made.schedules}
    added = tuple(each for each in old.added_schedules if each.slug not in slugs)
    slugs |= {each.slug for each in added}
    return replace(
        made,
        id=old.id,
        added_schedules=added,
        paused_by_operator=old.paused_by_operator,
        schedule_pauses={slug: each for slug, each in old.schedule_pauses.items() if slug in slugs},
    )


def name_schedules(owner: str, schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
    """Return schedules with their slugs.

    Raises:
        ConfigurationError: two have the same slug.
    """
    named = tuple(map(name_schedule, schedules))
    slugs = [each.slug for each in named]
    for schedule in named:
        if slugs.count(schedule.slug) > 1:
            problem = f"two of its schedules have the slug {schedule.slug!r}"
            raise ConfigurationError(f"deployment {owner!r}", problem, "Set slug=… on one.")
    return named


def pause_deployment(name: str) -> Deployment:
    """Pause its schedules until `resume_deployment`, even if it is deployed again.

    Raises:
        ObjectNotFound: there is no such deployment.
    """
    full_name = load_deployment(name).full_name
    return change_deployment(full_name, lambda old: replace(old, paused_by_operator=True))


def resume_deployment(name: str) -> Deployment:
    """Resume its schedules from now on; times that have passed are skipped.

    Raises:
        ObjectNotFound: there is no such deployment.
    """

    def resume(old: Deployment) -> Deployment:
        free = replace(old, paused_by_operator=None, paused_at_shutdown=False)
        return replace(free, paused_by_operator=False) if free.is_paused else free

    full_name = load_deployment(name).full_name
    forget_progress(full_name)
    return change_deployment(full_name, resume)


def add_schedule(name: str, schedule: Schedule) -> Schedule:
    """Add a schedule to those of the code; it is preserved when the flow is deployed again.

    Returns:
        The schedule, with its slug.

    Raises:
        ObjectNotFound: there is no such deployment.
        ObjectAlreadyExists: it has a schedule with that slug.
        ParameterTypeError: the parameters of the schedule don't match the flow's.
    """
    # Checks use pydantic, whose import takes 40 ms; most programs with deployments don't need it.
    from flowstone.deployments.creation import check_new_parameters

    def add(old: Deployment) -> Deployment:
        if any(each.slug == named.slug for each in old.all_schedules):
            remedy = "Use another slug."
            raise ObjectAlreadyExists("schedule", f"{old.full_name}: {named.slug}", remedy)
        return replace(old, added_schedules=(*old.added_schedules, named))

    found = load_deployment(name)
    own = check_new_parameters(found, schedule.parameters or {}, is_complete=False)
    check_new_parameters(found, {**found.parameters, **own}, is_complete=True)
    named = name_schedule(replace(schedule, parameters=own or None))
    change_deployment(found.full_name, add)
    return named


def remove_schedule(name: str, slug: str) -> None:
    """Remove a schedule that was added by `add_schedule`.

    Raises:
        ObjectNotFound: there is no such deployment, or no added schedule has that slug.
    """

    def remove(old: Deployment) -> Deployment:
        added = {each.slug: each for each in old.added_schedules}
        if slug not in added:
            raise ObjectNotFound("schedule", slug, [each or "" for each in added])
        left = tuple(each for each in old.added_schedules if each.slug != slug)
        pauses = {name: each for name, each in old.schedule_pauses.items() if name != slug}
        return replace(old, added_schedules=left, schedule_pauses=pauses)

    change_deployment(load_deployment(name).full_name, remove)


def set_paused_at_shutdown(full_name: str, *, is_paused: bool) -> None:
    """Pause a deployment because no process serves it any more, or end that pause."""
    with suppress(ObjectNotFound):  # deleted in the meantime
        change_deployment(full_name, lambda old: replace(old, paused_at_shutdown=is_paused))


def delete_deployment(name: str) -> list[str]:
    """Delete a deployment, and cancel its runs that have not started.

    Returns:
        The names of those runs.

    Raises:
        ObjectNotFound: there is no such deployment.
    """
    found = load_deployment(name)
    services().documents.delete(KIND, found.full_name)
    forget_progress(found.full_name)
    save_own_limit(f"{DEPLOYMENT}{found.full_name}", None)
    store = services().runs
    query = RunQuery(deployments=(found.full_name,), states=("SCHEDULED",))
    cancelled = []
    for run in iterate_runs(store, query):
        if run.lease is None:
            state = Cancelled("its deployment was deleted")
            with suppress(Conflict):  # it has just started
                store.record(make_change_event(run, state, run.attempt))
                cancelled.append(run.name)
    return cancelled


def forget_progress(full_name: str) -> None:
    """Make schedules continue from now."""
    with suppress(ObjectNotFound):
        services().documents.delete(PROGRESS, full_name)
    note_change(full_name)


def change_deployment(full_name: str, change: Callable[[Deployment], Deployment]) -> Deployment:
    """Update a saved deployment by a function of its content, even with concurrent updates.

    Raises:
        ObjectNotFound: there is no such deployment.
    """

    def change_it(old: Deployment | None) -> Deployment:
        if old is None:
            raise ObjectNotFound(KIND, full_name, [each.full_name for each in find_deployments()])
        return change(old)

    return _change(full_name, change_it)


def _change(full_name: str, change: Callable[[Deployment | None], Deployment]) -> Deployment:
    """Update a deployment by a function of its content, even with concurrent updates."""
    documents = services().documents
    while True:
        found = documents.find(KIND, names=[full_name])
        old = read_deployment(found[0]) if found else None
        made = change(old)
        if made == old:
            return made
        version = found[0].version if found else 0
        try:
            documents.put(KIND, full_name, encode_deployment(made), expected=version)
        except (StaleDocument, ObjectAlreadyExists):
            continue
        note_change(full_name)
        return made
