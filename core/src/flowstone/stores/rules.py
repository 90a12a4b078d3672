"""What every store rules the same way: who may write a run, and what its end entails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flowstone.errors import (
    Conflict,
    IllegalTransition,
    ObjectAlreadyExists,
    RunNotFound,
    StaleDocument,
)
from flowstone.records.events import EXTERNAL_WORK_ENDED, INFORMATIONAL, fold, make_change_event
from flowstone.records.record import evolve
from flowstone.records.runs import Handover, Lease, Run
from flowstone.records.states import CANCELLED, CANCELLING, CRASHED, NEXT, State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, StateChange

#: The shortest part of an id that finds a run.
SHORTEST_PART = 8
#: The part of a lease that remains at least after a heartbeat.
_LEFT = 2 / 3


def apply_change(run: Run, change: StateChange) -> Run:
    """Return the run as the change leaves it.

    Raises:
        Conflict: the run is not at the version below the change's, or is to be taken over while
            somebody holds it.
        IllegalTransition: `NEXT` has no such move.
    """
    if change.version != run.version + 1:
        raise Conflict(run.name, change.version - 1, run.version, run)
    if change.state.type not in NEXT[run.state.type]:
        raise IllegalTransition(run.name, run.state.name, change.state.name)
    after = run.apply(change)
    if isinstance(change, Handover):
        if change.lease is not None and run.lease is not None and not run.state.is_final():
            raise Conflict(run.name, run.version, run.version, run)
        return evolve(after, lease=change.lease)
    if after.lease is None:
        return after
    if after.state.is_final():
        return evolve(after, lease=evolve(after.lease, until=0.0))
    # A process that resumes a run that had ended brings a lease of its own.
    return evolve(after, lease=None) if run.state.is_final() else after


def start_lease(event: Event, now: float) -> Event:
    """Return an event; its lease, if it has one, starts now, by the store's clock."""
    payload = event.payload
    lease = payload.lease if isinstance(payload, Run | Handover) else None
    if lease is None:
        return event
    begun = Lease(lease.token, lease.holder, now + lease.seconds)
    return evolve(event, payload=evolve(payload, lease=begun))


def is_lapsed(root: Run, now: float) -> bool:
    """Tell whether the lease of a root has expired."""
    return root.lease is not None and root.lease.until < now


def is_due(until: float, now: float, seconds: float) -> bool:
    """Tell whether a heartbeat has to renew a lease."""
    return until < now + seconds * _LEFT


def check_root_open(root: Run | None) -> None:
    """Let a run of a tree begin or go on; raise `Conflict` where the root has ended."""
    if root is not None and root.state.is_final():
        raise Conflict(root.name, root.version, root.version, root)


def check_batch(root: Run | None, fence: Fence, events: Collection[Event]) -> None:
    """Let a batch pass, or refuse all of it.

    Raises:
        RunNotFound: there is no such root run.
        Conflict: its version or lease is another, or it has ended and the batch has more than log
            lines and artifacts; or a fact belongs to another tree.
    """
    if root is None:
        raise RunNotFound(fence.root_id)
    held = root.lease is not None and root.lease.token == fence.token
    # Of a root that has ended, anybody may say that work which it left elsewhere has ended, too.
    held |= root.state.is_final() and all(event.kind == EXTERNAL_WORK_ENDED for event in events)
    if root.version != fence.version or not held or not _fits(root, events):
        raise Conflict(root.name, fence.version, root.version, root)


def _fits(root: Run, events: Collection[Event]) -> bool:
    if not {event.root_id for event in events} <= {root.id}:
        return False
    return not root.state.is_final() or all(
        type(event.payload) in INFORMATIONAL for event in events
    )


def refold(facts: Iterable[Event]) -> Run | None:
    """Return the run that its birth and changes make, in whatever order they came."""
    run = None
    for event in sorted(
        (fact for fact in facts if type(fact.payload) not in INFORMATIONAL), key=_order_key
    ):
        run = fold(run, event)
    return run


def _order_key(event: Event) -> tuple[bool, int]:
    payload = event.payload
    return not isinstance(payload, Run), 0 if isinstance(
        payload, INFORMATIONAL
    ) else payload.version


def make_closing_events(root: Run, unfinished: Iterable[Run]) -> list[Event]:
    """Return the facts that end what is unfinished in the tree of a root that has ended."""
    kind = CRASHED if root.state.type is CRASHED else CANCELLED
    message = (
        f"{root.name!r}, the run that it belongs to, became {root.state.name} before this one ended"
    )
    state = State(kind, message=message, at=root.state.at)
    return [make_change_event(run, state, run.attempt) for run in unfinished]


def make_loss_event(root: Run, now: float, *, known_dead: bool, last_fact: float) -> Event:
    """Return the fact that ends a root whose process is gone.

    It has crashed; one that somebody had asked to end is cancelled: it is not to be executed again.
    """
    if known_dead:
        sign = f"was killed or died; it was last seen at {_format_time(last_fact)}"
    else:
        until = root.lease.until if root.lease else now
        sign = f"was killed, died or can't be reached; its lease ran out at {_format_time(until)}"
    message = f"its process ({describe_holder(root.lease)}) {sign}"
    kind = CRASHED
    if root.state.type is CANCELLING:
        kind = CANCELLED
        message = f"{root.state.message or 'somebody asked for it'}; {message}"
    return make_change_event(root, State(kind, message=message, at=now), root.attempt)


def describe_holder(lease: Lease | None) -> str:
    """Return where a lease's holder is, for a person."""
    host, _, rest = (lease.holder if lease else "").partition("/")
    pid = rest.partition("/")[0]
    return f"pid {pid} on host {host}" if host and pid else host or "of unknown place"


def _format_time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def make_not_found(ref: str, parts: Sequence[str], names: Sequence[str]) -> RunNotFound:
    """Return the error that names what was meant: the ids that a part fits, or names near it."""
    return RunNotFound(ref, parts or names)


def check_expected(kind: str, name: str, version: int, expected: int | None) -> None:
    """Check the version that a document is expected to be at; 0 stands for none.

    Raises:
        ObjectAlreadyExists: it should not be there.
        StaleDocument: it is at another version, or gone.
    """
    if expected is None or expected == version:
        return
    if expected == 0:
        remedy = "Overwrite it, or take another name."
        raise ObjectAlreadyExists(kind, name, remedy)
    raise StaleDocument(kind, name, expected, version)
