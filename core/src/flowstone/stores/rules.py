"""Rules of all stores: which process may write a run, and the consequences of its end."""

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

#: The minimum length of a part of an id that identifies a run.
SHORTEST_PART = 8
#: The minimum fraction of a lease that remains after a heartbeat.
_LEFT = 2 / 3


def apply_change(run: Run, change: StateChange) -> Run:
    """Return the run after the change.

    Raises:
        Conflict: the run is not at the version before the change's; or it is to be taken over
            although a process holds it.
        IllegalTransition: `NEXT` has no such transition.
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
    # A process that resumes a run that had ended has a new lease.
    return evolve(after, lease=None) if run.state.is_final() else after


def start_lease(event: Event, now: float) -> Event:
    """Return an event whose lease, if it has one, starts now, by the store's clock."""
    payload = event.payload
    lease = payload.lease if isinstance(payload, Run | Handover) else None
    if lease is None:
        return event
    begun = Lease(lease.token, lease.holder, now + lease.seconds)
    return evolve(event, payload=evolve(payload, lease=begun))


def is_lapsed(root: Run, now: float) -> bool:
    """Return whether the lease of a root has expired."""
    return root.lease is not None and root.lease.until < now


def is_due(until: float, now: float, seconds: float) -> bool:
    """Return whether a heartbeat has to renew a lease."""
    return until < now + seconds * _LEFT


def check_root_open(root: Run | None) -> None:
    """Allow a run of a tree to begin or continue; raise `Conflict` if the root has ended."""
    if root is not None and root.state.is_final():
        raise Conflict(root.name, root.version, root.version, root)


def check_batch(root: Run | None, fence: Fence, events: Collection[Event]) -> None:
    """Accept or refuse a batch as a whole.

    Raises:
        RunNotFound: there is no such root run.
        Conflict: its version or lease differs; or it has ended, and the batch has other events than
            log lines and artifacts; or an event belongs to another tree.
    """
    if root is None:
        raise RunNotFound(fence.root_id)
    held = root.lease is not None and root.lease.token == fence.token
    # After the end of a root, any process may record that external work which it left has ended.
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
    """Return the run from its creation and changes, in any order."""
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
    """Return the events that end the unfinished runs in the tree of a root that has ended."""
    kind = CRASHED if root.state.type is CRASHED else CANCELLED
    message = (
        f"{root.name!r}, the run that it belongs to, became {root.state.name} before this one ended"
    )
    state = State(kind, message=message, at=root.state.at)
    return [make_change_event(run, state, run.attempt) for run in unfinished]


def make_loss_event(root: Run, now: float, *, known_dead: bool, last_fact: float) -> Event:
    """Return the event that ends a root whose process has died.

    It has crashed. If it was requested to stop, it is cancelled, so that it is not executed again.
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
        message = "; ".join(filter(None, (root.state.message, message)))
    return make_change_event(root, State(kind, message=message, at=now), root.attempt)


def describe_holder(lease: Lease | None) -> str:
    """Return the location of a lease's holder, for messages."""
    host, _, rest = (lease.holder if lease else "").partition("/")
    pid = rest.partition("/")[0]
    return f"pid {pid} on host {host}" if host and pid else host or "of unknown place"


def _format_time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def make_not_found(ref: str, parts: Sequence[str], names: Sequence[str]) -> RunNotFound:
    """Return an error with suggestions: the ids that a part matches, or similar names."""
    return RunNotFound(ref, parts or names)


def check_expected(kind: str, name: str, version: int, expected: int | None) -> None:
    """Check the version that a document is expected to be at; 0 stands for none.

    Raises:
        ObjectAlreadyExists: it exists, but should not.
        StaleDocument: it is at another version, or deleted.
    """
    if expected is None or expected == version:
        return
    if expected == 0:
        remedy = "Overwrite it, or use another name."
        raise ObjectAlreadyExists(kind, name, remedy)
    raise StaleDocument(kind, name, expected, version)
