"""Trackers: observers of the runs of this process, and a thread that sends to MLflow."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager, nullcontext
from importlib import import_module
from time import monotonic, time
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from flowstone import tags
from flowstone.errors import ConfigurationError
from flowstone.observers import find_run, observing
from flowstone.records.runs import Run, StateChange
from flowstone_mlflow.credentials import MlflowTracking, find_chosen_tracking
from flowstone_mlflow.errors import TrackingUnavailable, describe, is_passing
from flowstone_mlflow.position import TRACKED
from flowstone_mlflow.spool import Spool, find_left_spools
from flowstone_mlflow.trees import FAILED, KILLED, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowstone.records.events import Event
    from flowstone_mlflow.sending import Sender
    from flowstone_mlflow.system import SystemMonitor

#: Seconds between polls of what running tasks have logged.
TICK = 1.0
#: Minimum and maximum seconds between attempts while the server is unavailable; the delay doubles.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
#: Seconds that the end of the program waits for unsent data.
PATIENCE = 4.0
#: Seconds that the end of a block waits while nothing is sent and nothing fails: MLflow may take
#: that long to be imported, or to create the tables of a database.
STILLNESS = 60.0

logger = logging.getLogger("flowstone.mlflow")
# MLflow imports it, perhaps at the end of the program, when Python no longer allows it.
import_module("concurrent.futures.thread")


class _Settings(Protocol):
    @property
    def home(self) -> Path: ...


class Tracker:
    """An observer that creates an MLflow run for each flow, and a nested one for each marked task.

    Args:
        tracking: where to track.
        tag: the tag of the outermost runs to follow; empty for all runs without such a tag.
    """

    def __init__(self, tracking: MlflowTracking, tag: str = "") -> None:
        self.tracking, self._tag = tracking.pin(), tag
        self.key = f"{self.tracking.tracking_uri} {self.tracking.experiment}"
        self._has_looked = False
        self._has_told = False
        self.start_anew()
        _all.add(self)

    def start_anew(self) -> None:
        """Reset: a forked child does not follow the runs of its parent."""
        self._changed = threading.Condition()
        self._trees: dict[str, Tree] = {}
        self._strangers: list[tuple[str, str, float]] = []
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._is_awake = False
        self._is_away = False
        self._failures = 0
        self._progress = monotonic()

    # ------------------------------------------------------------ the observer

    def observe(self, events: Sequence[Event]) -> None:
        facts: dict[str, list[dict[str, object]]] = {}
        with self._changed:
            for event in events:
                if (tree := self._find_tree(event)) is not None and (made := tree.take(event)):
                    facts.setdefault(event.root_id, []).extend(made)
            for root_id, made in facts.items():
                self._trees[root_id].spool.append_facts(made)
            if facts or self._strangers:
                self._start()

    def close(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if not self._tag:  # the end of a block waits for it
            self.drain(PATIENCE)

    def drain(self, seconds: float = PATIENCE) -> bool:
        """Wait until all is sent or there is no progress; return whether all is sent."""
        with self._changed:
            if self._thread is not None and not self._thread.is_alive():
                return not self._is_busy()
            self._progress, failures = monotonic(), self._failures
            self._changed.notify_all()
            while self._is_busy():
                if self._failures > failures or monotonic() - self._progress > seconds:
                    break
                self._changed.wait(0.05)
            is_sent = not self._is_busy()
        if not is_sent and (left := self._list_left()):
            self._tell_left(left)
        return is_sent

    def _find_tree(self, event: Event) -> Tree | None:
        payload = event.payload
        if not isinstance(payload, Run | StateChange) or not event.root_id:
            return None
        found = self._trees.get(event.root_id)
        if found is not None:
            return found
        if isinstance(payload, Run):  # the outermost run, or one that a block inside a flow called
            root = payload if payload.parent_id is None or self._tag else None
        else:
            root = find_run(event.root_id) if event.run_id == event.root_id else None
        if root is None or not self._follows(root):
            return None
        if payload.state.is_final() and not Spool(event.root_id).key:
            # It ended without its process, on another machine, or everything was sent before.
            status = KILLED if payload.state.is_cancelled() else FAILED
            self._strangers.append((event.root_id, status, event.at))
            return None
        tree = self._open_tree(event.root_id)
        if tree is not None and root is not payload:
            tree.know_root(root)
        return tree

    def _follows(self, root: Run) -> bool:
        """Return whether this tracker follows a root: of nested blocks, the innermost counts."""
        named = [tag for tag in root.tags if tag in _opened]
        return self._tag == max(named, key=_opened.__getitem__, default="")

    def _open_tree(self, root_id: str) -> Tree | None:
        spool = Spool(root_id)
        is_left = spool.key == self.key
        if not spool.own(self.tracking, self.key):
            return None
        tree = self._trees[root_id] = Tree(spool, self.tracking.on_retry, self._tag)
        if is_left:
            tree.load()
        return tree

    # ------------------------------------------------------------ the thread that sends

    def _start(self) -> None:
        self._is_awake = True
        if self._thread is None or not self._thread.is_alive():
            name = f"flowstone-mlflow-{self.tracking.find_experiment()}"
            self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _is_busy(self) -> bool:
        return (
            bool(self._strangers)
            or self._is_awake
            or any(
                tree.has_ended or any(each.end for each in tree.list_pending())
                for tree in self._trees.values()
            )
        )

    def _loop(self) -> None:
        sender, pause = self._make_sender(), FIRST_PAUSE
        monitor, is_last = self._make_monitor(), False
        while True:
            try:
                self._send_all(sender)
                if monitor is not None:
                    self._log_system(sender, monitor)
                self._note(is_away=False)
                wait, pause = TICK, FIRST_PAUSE
            except Exception as error:  # noqa: BLE001 - runs continue in any case
                self._complain(error)
                wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
            with self._changed:
                # A closing tracker tries once more, regardless of the delay.
                if self._is_closing and (not self._is_busy() or (self._is_away and is_last)):
                    self._give_up(sender)
                    return
                is_last = self._is_closing
                if not is_last and (not self._is_awake or self._is_away):
                    self._changed.wait(wait)

    def _make_sender(self) -> Sender:
        # MLflow takes a second to import, in this thread only.
        from flowstone_mlflow.sending import Sender

        return Sender(self.tracking)

    def _make_monitor(self) -> SystemMonitor | None:
        if not self.tracking.system_metrics:
            return None
        # It has an optional dependency.
        from flowstone_mlflow.system import SystemMonitor

        return SystemMonitor()

    def _send_all(self, sender: Sender) -> None:
        with self._changed:
            self._is_awake = False
            if not self._has_looked:
                self._take_over()
                self._has_looked = True
            trees, strangers = list(self._trees.values()), list(self._strangers)
        for stranger in strangers:
            sender.end_by_tag(*stranger)
            self._strangers.remove(stranger)
        for tree in trees:
            with self._changed:
                pending = list(tree.list_pending())
            for tracked in pending:
                if sender.send(tree, tracked):
                    self._progress = monotonic()
            with self._changed:
                if tree.has_ended and not any(tree.list_pending()) and not self._is_awake:
                    del self._trees[tree.root_id]
                    tree.spool.delete()

    def _take_over(self) -> None:
        for spool in find_left_spools(self.key):
            if spool.root_id not in self._trees:
                tree = self._trees[spool.root_id] = Tree(spool, self.tracking.on_retry, self._tag)
                tree.load()

    def _log_system(self, sender: Sender, monitor: SystemMonitor) -> None:
        if not (values := monitor.sample()):
            return
        with self._changed:
            roots = [tree.runs.get(tree.root_id) for tree in self._trees.values()]
        for root in roots:
            if root is not None and root.end is None:
                sender.log_system_metrics(root, values, int(time() * 1000))

    def _note(self, *, is_away: bool) -> None:
        with self._changed:
            self._failures += is_away
            if self._is_away != is_away:
                self._is_away = is_away
                for tree in self._trees.values():
                    tree.spool.mark_away(is_away=is_away)
                if not is_away:
                    logger.warning(
                        "MLflow at %s answers again; pending data is being sent.", self._uri
                    )
            self._changed.notify_all()

    @property
    def _uri(self) -> str:
        return self.tracking.find_uri()

    def _complain(self, error: Exception) -> None:
        if not self._is_away:
            passing = is_passing(error) or isinstance(error, TrackingUnavailable)
            logger.warning(
                "MLflow at %s %s: %s. Runs continue; what they log is kept on disk and sent later.",
                self._uri, "does not answer" if passing else "can't be updated",
                describe(error), exc_info=None if passing else error,
            )  # fmt: skip
        self._note(is_away=True)

    def _give_up(self, sender: Sender) -> None:
        """End the thread, and leave unsent data to another process."""
        if left := self._list_left():
            self._tell_left(left)
        if sender.lost:
            logger.warning("MLflow rejected %d entries in total; they are lost.", sender.lost)
        for tree in self._trees.values():
            tree.spool.release()
        self._trees.clear()
        self._changed.notify_all()

    def _list_left(self) -> list[Tree]:
        return [tree for tree in self._trees.values() if any(tree.list_pending()) or tree.has_ended]

    def _tell_left(self, left: list[Tree]) -> None:
        if not self._has_told:
            logger.warning(
                "MLflow at %s did not receive all data of %d flow run(s); the rest is kept in %s, "
                "and sent by `flowstone mlflow send` or the next program that tracks there.",
                self._uri, len(left), left[0].spool.folder.parent,
            )  # fmt: skip
        self._has_told = True


class MlflowObserver(Tracker):
    """The observer ``mlflow`` of ``FLOWSTONE_OBSERVERS``.

    It uses the saved block that ``FLOWSTONE_MLFLOW_BLOCK`` names, or else MLflow's own environment
    variables.
    """

    def __init__(self, settings: _Settings) -> None:
        del settings  # passed to all observers
        super().__init__(find_chosen_tracking())


# ---------------------------------------------------------------- trackers of this program

_all: WeakSet[Tracker] = WeakSet()
_trackers: dict[str, Tracker] = {}
_users: dict[str, int] = {}
#: When the tag of a block was last used; facts may arrive after the end of the block.
_opened: dict[str, int] = {}
_lock = threading.Lock()


@contextmanager
def track(tracking: MlflowTracking, *, required: bool) -> Iterator[None]:
    """Track the runs that are called in the block; see `MlflowTracking.observe`."""
    tag = f"{TRACKED}{tracking.find_experiment()}"
    with _lock:
        tracker = _trackers.get(tag)
        is_new = tracker is None
        if tracker is None:
            tracker = _trackers[tag] = Tracker(tracking, tag)
            _opened[tag] = max(_opened.values(), default=0) + 1
        elif tracker.tracking.find_uri() != tracking.find_uri():
            raise ConfigurationError(
                "observe()",
                f"experiment {tracking.find_experiment()!r} is tracked at "
                f"{tracker.tracking.find_uri()} already",
                "Rename one of the two experiments.",
            )
        _users[tag] = _users.get(tag, 0) + 1
    try:
        with tags(tag), observing(tracker) if is_new else nullcontext():
            yield
    finally:
        with _lock:
            _users[tag] -= 1
            if not _users[tag]:
                del _users[tag], _trackers[tag]
    if is_new and not tracker.drain(STILLNESS) and required:
        raise TrackingUnavailable(
            f"MLflow at {tracking.find_uri()}",
            "it did not receive all data of these runs",
            "The rest is kept on disk; send it with `flowstone mlflow send`.",
        )


def _after_fork() -> None:
    for tracker in list(_all):
        tracker.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
