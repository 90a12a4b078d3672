"""A run that is about to be made: what the name of it may be made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.calls.recipe import recipe
from flowstone.context import current
from flowstone.engine.recorder import Keeper, leased
from flowstone.records.redaction import redact
from flowstone.records.runs import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowstone.context.current import Scope, Services


class Asked(NamedTuple):
    """A call, before it has become a run; fills the port of that name."""

    unit: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def origin(
    unit: Any,
    services: Services,
    run_id: str,
    name: str,
    parent: Scope | None,
    known: dict[str, Any] | None,
    inputs: tuple[str, ...],
) -> Origin:
    """Return what a run is to be born with."""
    spec, now = unit.spec, services.clock.time()
    is_root = parent is None
    return Origin(
        run_id,
        spec.kind,
        name,
        spec.name,
        run_id if parent is None else parent.run.root_id,
        None if parent is None else parent.run.id,
        now,
        tagged(spec.tags),
        spec.version,
        known,
        inputs,
        leased(services, now) if is_root else None,
        recipe(unit, known) if is_root and spec.kind == "flow" else None,
    )


def tagged(own: frozenset[str]) -> tuple[str, ...]:
    """Return the tags of a run: its unit's own, and those around it; secrets in them masked."""
    around = current.tags.get()
    return tuple(sorted(set(map(redact, own | around)))) if own or around else ()


@contextmanager
def drafted(
    asked: Asked, run_id: str, known: dict[str, object], parent: Scope | None, tags: tuple[str, ...]
) -> Iterator[None]:
    """Make the coming run the current one, so that `flowstone.runtime` tells of it.

    Args:
        asked: the call.
        run_id: the id that the run will have.
        known: the call's arguments by name.
        parent: the run around it.
        tags: what the run will be tagged with.
    """
    services, spec = current.services(), asked.unit.spec
    scope = current.Scope(None if spec.kind == "flow" or parent is None else parent.owner)
    scope.above, scope.arguments, scope.asked = parent, known, asked
    origin = Origin(
        run_id,
        spec.kind,
        spec.name,
        spec.name,
        run_id if parent is None else parent.run.root_id,
        None if parent is None else parent.run.id,
        services.clock.time(),
        tags,
        spec.version,
        known,
        (),
        None,
    )
    scope.standing = Keeper(services, origin)
    token = current.scope.set(scope)
    try:
        yield
    finally:
        current.scope.reset(token)
