"""The attributes that a run is created with, from its call and the enclosing code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.calls.recipe import make_restart_info
from flowstone.calls.run_names import choose_name, render_name
from flowstone.context import current
from flowstone.engine.annotations import Mark
from flowstone.engine.recorder import make_lease
from flowstone.records.ids import new_id
from flowstone.records.record import fact
from flowstone.records.redaction import redact
from flowstone.records.runs import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowstone.context.current import Scope
    from flowstone.ports import PendingRun


@fact
class UnitCall:
    """A call, before it has become a run; implements the port of that name."""

    unit: Any
    args: tuple[object, ...]
    kwargs: Mapping[str, Any]


def make_origin(
    call: UnitCall,
    parent: Scope | None,
    *,
    known: dict[str, Any] | None,
    upstream: Sequence[tuple[PendingRun, bool]] | None,
    fits: bool = True,
) -> Origin:
    """Return the attributes that a run is created with.

    Args:
        call: the flow or task, and its arguments.
        parent: the parent run; None for a root.
        known: the call's arguments by name, if they are known already.
        upstream: the futures that the call waits for.
        fits: whether the arguments match the signature; if not, no name can be rendered.
    """
    services, spec, run_id = current.services(), call.unit.spec, new_id()
    tags = collect_tags(spec.tags)
    is_root = parent is None
    if spec.run_name is None or not fits:
        name = choose_name(spec, run_id, parent)
    else:
        name = render_name(call, run_id, known, parent=parent, tags=tags)
    inputs = tuple(p.run_id for p, _ in upstream if p.run_id) if upstream else ()
    if parent is not None and parent.owner.producers is not None:
        given = [*call.args, *call.kwargs.values()]
        given = list(map(_unmark, given)) if Mark.made else given
        inputs = tuple(dict.fromkeys((*inputs, *parent.owner.producers.find(given))))
    tree_time = None if parent is None else parent.time
    recipe = make_restart_info(call.unit, known) if is_root and spec.kind == "flow" else None
    return Origin(  # by position: Python takes three times as long for keywords
        run_id,
        spec.kind,
        name,
        spec.name,
        run_id if parent is None else parent.run.root_id,
        None if parent is None else parent.run.id,
        (tree_time or services.clock.time)(),
        tags,
        spec.version,
        known,
        inputs,
        make_lease(services) if is_root else None,
        recipe,
    )


def _unmark(value: object) -> object:
    return value.value if isinstance(value, Mark) else value


def collect_tags(own: frozenset[str]) -> tuple[str, ...]:
    """Return the tags of a run, its own and those of the context, with secrets masked."""
    around = current.tags.get()
    return tuple(sorted(set(map(redact, own | around)))) if own or around else ()
