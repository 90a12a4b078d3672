"""The root runs that a process drives: their fences, how to stop them, and the lost ones."""

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

#: Number of roots that are remembered after their end, to store their late log lines.
RECENT = 1000


class DrivenRoots:
    """A journal's information about the roots whose events it writes.

    It has no lock: methods that change a fence are called under the journal's lock. An interrupt
    may occur between any two lines.

    Args:
        fences: the fences that a forked child inherits from its parent.

    Attributes:
        refusing: the roots whose events `check` may refuse.
    """

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self._fences: dict[str, Fence] = {fence.root_id: fence for fence in fences}
        self._ended: dict[str, Fence | None] = {}  # None: ended by another process
        self._retaken: dict[str, Run] = {}  # driven here, in an attempt after the first
        self._stops: dict[str, Callable[[type[StopSignal]], None]] = {}
        self._stopped: dict[str, type[StopSignal]] = {}
        self._abandoned: set[str] = set()
        self._lost: dict[str, Run] = {}
        self._left: dict[str, set[str]] = {}  # runs that could not be stopped, by root
        self.refusing: set[str] = set()

    # ------------------------------------------------------------ changes of a root

    def drive(self, run: Run) -> None:
        """Drive a root from its creation."""
        assert run.lease is not None
        self._fences[run.id] = Fence(run.id, run.version, run.lease.token)

    def take_over(self, run: Run, token: str) -> None:
        """Drive a root in a new attempt, and forget the previous one."""
        self._lost.pop(run.id, None)
        self._ended.pop(run.id, None)
        self._stops.pop(run.id, None)
        self._stopped.pop(run.id, None)
        self._abandoned.discard(run.id)
        self.refusing.add(run.id)
        self._retaken[run.id] = run
        self._fences[run.id] = Fence(run.id, run.version, token)

    def register_stop(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Register the function that stops a root on request."""
        self._stops[root_id] = stop

    def follow_request(self, actual: Run) -> None:
        """Continue with the version that a request created; stop the root once if it says so."""
        fence = self._fences[actual.id]
        self._fences[actual.id] = Fence(actual.id, actual.version, fence.token)
        stop, signal = self._stops.get(actual.id), find_request(actual.state)
        if stop is not None and signal is not None and self._stopped.get(actual.id) is not signal:
            self._stopped[actual.id] = signal
            stop(signal)

    def mark_lost(self, actual: Run) -> None:
        """Record that another process has ended a root, or drives it; its events are refused."""
        self.refusing.add(actual.id)
        self._lost[actual.id] = actual
        self._fences.pop(actual.id, None)
        self._retaken.pop(actual.id, None)

    def leave(self, root_id: str, run_ids: Iterable[str]) -> None:
        """Refuse events of runs that could not be stopped, as long as their root is known."""
        self.refusing.add(root_id)
        self._left.setdefault(root_id, set()).update(run_ids)

    def abandon(self, root_id: str) -> None:
        """Stop renewing the lease of a root; appended events can still be written under it."""
        self._stops.pop(root_id, None)
        if root_id in self._fences:
            self._abandoned.add(root_id)

    def release(self, root_id: str) -> None:
        """Stop driving a root; remember its fence for a while, for late log lines."""
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

    # ------------------------------------------------------------ queries

    def find_fence(self, root_id: str) -> Fence | None:
        """Return the fence of a root that is driven here; None for others."""
        return self._fences.get(root_id)

    def find_ended_fence(self, root_id: str) -> Fence | None:
        """Return the fence of a root that was driven here until its recent end."""
        return self._ended.get(root_id)

    def list_fences(self) -> list[Fence]:
        """Return the fences of all roots that are driven here."""
        return list(self._fences.values())

    def list_renewable_fences(self) -> list[Fence]:
        """Return the fences of roots that are not abandoned."""
        return [f for root_id, f in self._fences.items() if root_id not in self._abandoned]

    def owns(self, actual: Run) -> bool:
        """Return whether a run was changed only by this process, or by a request."""
        fence = self._fences.get(actual.root_id)
        if fence is None or actual.state.type in TERMINAL:
            return False
        return not actual.is_root or (
            actual.lease is not None and actual.lease.token == fence.token
        )

    def has_moved(self, root: Run) -> bool:
        """Return whether there is a request: the root is ours, but at another version."""
        return self.owns(root) and root.version != self._fences[root.id].version

    def is_stale(self, root_id: str, token: str | None) -> bool:
        """Return whether a writer belongs to an attempt that a later one here has replaced."""
        fence = self._fences.get(root_id) if root_id in self._retaken else None
        return fence is not None and token is not None and token != fence.token

    def check(self, event: Event, token: str | None) -> None:
        """Refuse an event of a run that was lost or left behind, or of an earlier attempt.

        Raises:
            FencedRun: it is such an event.
        """
        root_id = event.root_id
        if event.run_id in self._left.get(root_id, ()):
            raise FencedRun(event.run_id, "left behind")
        actual = self._lost.get(root_id)
        if actual is None and self.is_stale(root_id, token):
            actual = self._retaken.get(root_id)
        if actual is not None:
            raise FencedRun(actual.name, actual.state.name)
