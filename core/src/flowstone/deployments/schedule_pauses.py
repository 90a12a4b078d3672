"""Pause and resume single schedules of a deployment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.changes import note_change
from flowstone.deployments.documents import PROGRESS, change_deployment, load_deployment
from flowstone.errors import ObjectAlreadyExists, ObjectNotFound, StaleDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.deployments import Deployment
    from flowstone.records.schedules import Schedule


def pause_schedule(name: str, slug: str) -> Schedule:
    """Pause one schedule of a deployment, even if it is deployed again.

    Args:
        name: the deployment: ``flow/name``, or its own name if that is unique.
        slug: the slug of the schedule.

    Returns:
        The schedule.

    Raises:
        ObjectNotFound: there is no such deployment or schedule; the message lists similar names.
    """
    return _switch(name, slug, is_paused=True)


def resume_schedule(name: str, slug: str) -> Schedule:
    """Resume one schedule from now on; times that have passed are skipped.

    A deployment that is paused as a whole stays paused. Arguments, result and errors are as for
    `pause_schedule`.
    """
    full_name = load_deployment(name).full_name
    _forget_progress(full_name, slug)
    return _switch(full_name, slug, is_paused=False)


def find_schedule(deployment: Deployment, slug: str) -> Schedule:
    """Return a schedule of a deployment by its slug.

    Raises:
        ObjectNotFound: no schedule has that slug; the message lists similar ones.
    """
    found = {each.slug or "": each for each in deployment.all_schedules}
    if slug not in found:
        raise ObjectNotFound("schedule", slug, list(found))
    return found[slug]


def _switch(name: str, slug: str, *, is_paused: bool) -> Schedule:
    def switch(old: Deployment) -> Deployment:
        pauses = dict(old.schedule_pauses)
        pauses.pop(slug, None)
        if find_schedule(old, slug).active is is_paused:
            pauses[slug] = is_paused
        return replace(old, schedule_pauses=pauses)

    return find_schedule(change_deployment(load_deployment(name).full_name, switch), slug)


def _forget_progress(full_name: str, slug: str) -> None:
    """Make one schedule continue from now."""
    documents = services().documents
    while found := documents.find(PROGRESS, names=[full_name]):
        left = _leave_out(found[0].body, slug)
        if left == found[0].body:
            return
        with suppress(StaleDocument, ObjectAlreadyExists):
            documents.put(PROGRESS, full_name, left, expected=found[0].version)
            note_change(full_name)
            return


def _leave_out(progress: Mapping[str, object], slug: str) -> dict[str, object]:
    """Return the progress of the other schedules."""
    return {key: each for key, each in progress.items() if key.rpartition("@")[0] != slug}
