"""Names of runs: random, counted, or rendered from a template."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.calls.parameters import render_run_name
from flowstone.context import current
from flowstone.engine.recorder import RunRecorder
from flowstone.records.runs import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Scope
    from flowstone.ports import CallRequest
    from flowstone.records.specs import Spec

_HOW_WORDS = """
amber brisk calm clear copper crisp deep early eager fair fine fleet fresh gentle glad golden
grand green happy hazel high honest jolly keen kind level light lively lucid lunar mellow
merry mild misty modest nimble noble open pale plain prime proud quick quiet rapid ready red
rich robust round royal russet sharp silent silver sleek smooth snowy solar solid spry steady
still stout strong sunny sure swift tidy true upright vivid warm wide wild wise witty young
"""
_WHAT_WORDS = """
alder aspen badger beaver birch bison bluff brook canyon cedar cliff comet cove crane creek
delta dune eagle elk ember falcon fern finch fjord forest fox gale glacier grove gull harbor
hare hawk heron hill ibis inlet island jay juniper kestrel lagoon lake larch lark lynx maple
marsh martin meadow mesa moose oak orca osprey otter owl pebble pine plover prairie quarry
raven reef ridge river robin rowan salmon seal shore spruce stone stork stream summit swan
swift thrush tide trail trout tundra valley walrus willow wolf wren
"""
_HOW = tuple(_HOW_WORDS.split())
_WHAT = tuple(_WHAT_WORDS.split())


def choose_name(spec: Spec, run_id: str, parent: Scope | None) -> str:
    """Return the name of a run whose flow or task has no name template."""
    if spec.kind == "flow":
        return make_up_name()
    if parent is None:
        return f"{spec.name}-{run_id[-5:]}"
    return f"{spec.name}-{parent.next_ordinal(spec.name)}"


def make_up_name() -> str:
    """Return a random name of two memorable words, such as ``brisk-otter``."""
    number = int.from_bytes(os.urandom(4))
    return f"{_HOW[number % len(_HOW)]}-{_WHAT[number // len(_HOW) % len(_WHAT)]}"


def render_name(
    asked: CallRequest,
    run_id: str,
    known: dict[str, object] | None,
    *,
    parent: Scope | None,
    tags: tuple[str, ...],
) -> str:
    """Return the name of a run, rendered from the template of its flow or task.

    Args:
        asked: the call.
        run_id: the id that the run will have.
        known: the call's arguments by name, if they are known already.
        parent: the parent run.
        tags: the tags that the run will have.
    """
    unit = asked.unit
    if known is None:
        known = dict(unit.parameters.bind(asked.args, asked.kwargs).arguments)
    with _enter_coming_run(asked, run_id, known, parent=parent, tags=tags):
        return render_run_name(unit.name, unit.spec.run_name, {**unit.parameters.held, **known})


@contextmanager
def _enter_coming_run(
    asked: CallRequest,
    run_id: str,
    known: dict[str, object],
    *,
    parent: Scope | None,
    tags: tuple[str, ...],
) -> Iterator[None]:
    """Make the new run the current one, so that `flowstone.runtime` describes it."""
    services, spec = current.services(), asked.unit.spec
    scope = current.Scope(None if spec.kind == "flow" or parent is None else parent.owner)
    scope.caller, scope.arguments, scope.request = parent, known, asked
    coming = Origin(
        id=run_id,
        kind=spec.kind,
        name=spec.name,
        unit=spec.name,
        root_id=run_id if parent is None else parent.run.root_id,
        parent_id=None if parent is None else parent.run.id,
        created=services.clock.time(),
        tags=tags,
        unit_version=spec.version,
        parameters=known,
        inputs=(),
        lease=None,
    )
    scope.current = RunRecorder(services, coming)
    token = current.scope.set(scope)
    try:
        yield
    finally:
        current.scope.reset(token)
