"""The root runs that a process drives: under which fence, who stops them, and which it has lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.engine.policy import find_request
from flowstone.errors import FencedRun
from flowstone.records.runs import Fence
from flowstone.records.states import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowstone.errors import StopSignal
    from flowstone.records.events import Event
    from flowstone.records.runs import Run

#: How many roots are remembered after their end: of those, late log lines are still kept.
RECENT = 1000


class DrivenRoots:
    """What a journal knows of the roots whose facts pass through it.

    It has no lock of its own: the journal's is held where a method changes a fence. An interrupt
    may come between any two lines.

    Args:
        fences: those that a forked child has from its parent.

    Attributes:
        refusing: the roots of which `check` may refuse a fact.
    """

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self._fences: dict[str, Fence] = {fence.root_id: fence for fence in fences}
        self._ended: dict[str, Fence | None] = {}  # None: ended by somebody else
        self._retaken: dict[str, Run] = {}  # driven here, by an attempt that is not the first
        self._stops: dict[str, Callable[[type[StopSignal]], None]] = {}
        self._stopped: dict[str, type[StopSignal]] = {}
        self._abandoned: set[str] = set()
        self._lost: dict[str, Run] = {}
        self._left: dict[str, set[str]] = {}  # by root, the runs that could not be stopped
        self.refusing: set[str] = set()

    # ------------------------------------------------------------ what happens to a root

    def drive(self, run: Run) -> None:
        """Drive a root from its birth on."""
        assert run.lease is not None
        self._fences[run.id] = Fence(run.id, run.version, run.lease.token)

    def take_over(self, run: Run, token: str) -> None:
        """Drive a root in a new attempt; what was known of the one before is forgotten."""
        self._lost.pop(run.id, None)
        self._ended.pop(run.id, None)
        self._stops.pop(run.id, None)
        self._stopped.pop(run.id, None)
        self._abandoned.discard(run.id)
        self.refusing.add(run.id)
        self._retaken[run.id] = run
        self._fences[run.id] = Fence(run.id, run.version, token)

    def register_stop(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Remember how a root is stopped when somebody asks for that."""
        self._stops[root_id] = stop

    def follow_request(self, actual: Run) -> None:
        """Go on under the version that a request made; one to stop does that, once."""
        fence = self._fences[actual.id]
        self._fences[actual.id] = Fence(actual.id, actual.version, fence.token)
        stop, signal = self._stops.get(actual.id), find_request(actual.state)
        if stop is not None and signal is not None and self._stopped.get(actual.id) is not signal:
            self._stopped[actual.id] = signal
            stop(signal)

    def mark_lost(self, actual: Run) -> None:
        """Take it that somebody else has ended a root or drives it; facts of it are refused."""
        self.refusing.add(actual.id)
        self._lost[actual.id] = actual
        self._fences.pop(actual.id, None)
        self._retaken.pop(actual.id, None)

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        """Refuse facts of runs that could not be stopped, for as long as their root is known."""
        self.refusing.add(root_id)
        self._left.setdefault(root_id, set()).update(run_ids)

    def abandon(self, root_id: str) -> None:
        """Renew the lease of a root no more; what was appended can still be kept under it."""
        self._stops.pop(root_id, None)
        if root_id in self._fences:
            self._abandoned.add(root_id)

    def release(self, root_id: str) -> None:
        """Drive a root no more; remember its fence for a while, for what is said of it late."""
        self._stops.pop(root_id, None)
        self._stopped.pop(root_id, None)
        self._abandoned.discard(root_id)
        fence = self._fences.pop(root_id, None)
        self._retaken.pop(root_id, None)
        self._lost.pop(root_id, None)
        if root_id not in self._left:
            self.refusing.discard(root_id)
        if fence is not None or (root_id in self._left and root_id not in self._ended):
            self._ended[root_id] = fence
            if len(self._ended) > RECENT:
                self._forget(next(iter(self._ended)))

    def _forget(self, root_id: str) -> None:
        del self._ended[root_id]
        self._left.pop(root_id, None)
        self.refusing.discard(root_id)

    # ------------------------------------------------------------ what is known of it

    def find_fence(self, root_id: str) -> Fence | None:
        """Return the fence of a root that is driven here; None for any other."""
        return self._fences.get(root_id)

    def find_ended_fence(self, root_id: str) -> Fence | None:
        """Return the fence of a root that was driven here until its end, not long ago."""
        return self._ended.get(root_id)

    def list_fences(self) -> list[Fence]:
        """Return the fences of all roots that are driven here."""
        return list(self._fences.values())

    def list_renewable_fences(self) -> list[Fence]:
        """Return the fences of those that are not abandoned."""
        return [f for root_id, f in self._fences.items() if root_id not in self._abandoned]

    def owns(self, actual: Run) -> bool:
        """Tell whether a run has moved only by us, or because somebody asks something of it."""
        fence = self._fences.get(actual.root_id)
        if fence is None or actual.state.type in TERMINAL:
            return False
        return not actual.is_root or (
            actual.lease is not None and actual.lease.token == fence.token
        )

    def has_moved(self, root: Run) -> bool:
        """Tell whether somebody asks something of a root: it is ours, at another version."""
        return self.owns(root) and root.version != self._fences[root.id].version

    def is_stale(self, root_id: str, token: str | None) -> bool:
        """Tell whether somebody writes for an attempt that another has followed, here."""
        fence = self._fences.get(root_id) if root_id in self._retaken else None
        return fence is not None and token is not None and token != fence.token

    def check(self, event: Event, token: str | None) -> None:
        """Refuse a fact of a run that was lost or left behind, or of an attempt that is over.

        Raises:
            FencedRun: it is such a fact.
        """
        root_id = event.root_id
        if event.run_id in self._left.get(root_id, ()):
            raise FencedRun(event.run_id, "left behind")
        actual = self._lost.get(root_id)
        if actual is None and self.is_stale(root_id, token):
            actual = self._retaken.get(root_id)
        if actual is not None:
            raise FencedRun(actual.name, actual.state.name)
