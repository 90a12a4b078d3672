"""The ports of the stores of events and documents, and the journal that writes events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flowstone.ports.leases import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from flowstone.errors import StopSignal
    from flowstone.records.documents import Document
    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, Run, RunQuery


class RunStore(LeaseStore, Protocol):
    """Stores runs and their events.

    Every method may raise `StoreError`. Methods may be called from several threads. The
    store's own clock decides when a lease expires: those of its clients may be wrong.
    """

    def create(self, event: Event) -> None:
        """Store a new run; the event's payload is the `Run`. Written synchronously.

        Or an artifact without a run, whose run ids are empty. An event that is stored already
        changes nothing. The run's lease begins now, and lasts for its `seconds`.

        Raises:
            Conflict: the root of its tree has ended; the error contains it.
        """

    def record(self, event: Event) -> Run:
        """Store a change of a run by compare-and-set, and return the updated run.

        The event's payload is a `StateChange`; the run must be at the previous version. When a root
        ends, every run of its tree that has not ended is ended in the same write: as CRASHED if the
        root crashed, and as CANCELLED otherwise. A root's lease ends with it: its token lets the
        same writer add log lines and artifacts, and nothing else. A `Handover` gives a root that
        has ended, or that no process holds, to another writer, or takes it from its own. An event
        that is stored already changes nothing.

        Raises:
            RunNotFound: there is no such run.
            Conflict: it is at another version, or held by another process; the error contains it.
            IllegalTransition: `NEXT` has no such transition.
        """

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        """Store a batch of events, all or none; those that are stored already change nothing.

        The events are creations of runs, changes of task runs, log lines and artifacts; for a root
        that has ended, only the last two.
        A run is its creation and its changes in the order of their versions, in whatever order they
        arrive; a change that is older than the run does not revert it.

        Raises:
            RunNotFound: there is no such root run.
            Conflict: the root run is at another version or under another lease, has ended, or is
                not the root of every event; nothing is stored.
        """

    def reap(self) -> list[Run]:
        """End each unfinished root whose lease has expired, with the reason.

        It becomes CRASHED; one that was CANCELLING becomes CANCELLED, since its end was requested.
        If the store can check that the holder is dead, it need not wait for the lease; if it can
        check that the holder is alive, the run continues. Return the roots that were ended.
        """

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        """Delete whole trees that have ended: their runs and all of their events.

        A root that has not ended stays, with its tree, and ids that are not roots are ignored. A
        root can't be found any more once its deletion begins; its tree and events may be deleted in
        steps between which others write. Each call, even without ids, also deletes what an earlier
        one has left. Cursors are not reused.

        Returns:
            The ids of the roots that were deleted.
        """

    def run(self, ref: str) -> Run:
        """Return a run by its id, by a part of it, or by its name.

        A part is eight or more characters that only this id begins or ends with; among several runs
        with the same name, the newest is returned.

        Raises:
            RunNotFound: there is none, or the part matches several.
        """

    def runs(self, query: RunQuery) -> list[Run]:
        """Return the matching runs, ordered by id."""

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count the task runs of these trees, by the calling run and by state.

        A state is a value of `StateType`, or ``SKIPPED`` for Cancelled runs of that name. Runs
        without task runs are omitted.
        """

    def events(
        self,
        after: int = 0,
        *,
        root_id: str | None = None,
        run_id: str | None = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[tuple[int, Event]]:
        """Return events in the order they were stored, each with its cursor.

        Args:
            after: only events after this cursor.
            root_id: only events of this tree.
            run_id: only events of this run.
            kinds: only events of these kinds.
            limit: the maximum number of events.
        """

    def close(self) -> None:
        """Close files and connections. It may be called twice."""


class DocumentStore(Protocol):
    """Stores documents by kind and name. Every method may raise `StoreError`."""

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        """Save a document, and return it with its new version.

        Args:
            kind: its kind.
            name: its name, unique within the kind.
            body: JSON values only.
            expected: None to save in any case; 0 only if there is none yet; a version to replace
                only that version.

        Raises:
            ObjectAlreadyExists: `expected` is 0 and the name is taken.
            StaleDocument: the document has another version than `expected`, or was deleted.
        """

    def get(self, kind: str, name: str) -> Document:
        """Return a document.

        Raises:
            ObjectNotFound: there is none of that kind and name; the message lists similar names.
        """

    def find(
        self,
        kind: str,
        *,
        prefix: bool = False,
        names: Collection[str] | None = None,
        after: tuple[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Document]:
        """Return documents of a kind, ordered by kind and name.

        Args:
            kind: the kind.
            prefix: whether to return the documents of all kinds that begin with `kind`.
            names: only documents with these names.
            after: only documents that come after this kind and name, for the next page.
            limit: the maximum number of documents.
        """

    def delete(self, kind: str, name: str) -> None:
        """Delete a document.

        Raises:
            ObjectNotFound: there is none of that kind and name.
        """

    def close(self) -> None:
        """Close files and connections. It may be called twice."""


class StoreInfo(NamedTuple):
    """The size and content of a store.

    Attributes:
        path: the file.
        schema: the number of the last migration of its tables.
        file_bytes: the size of the file itself.
        log_bytes: the size of what has not been moved into the file yet.
        free_bytes: the size of what a vacuum would free.
        counts: numbers of rows: ``runs``, ``task runs``, ``facts``, ``documents``.
    """

    path: Path
    schema: int
    file_bytes: int
    log_bytes: int
    free_bytes: int
    counts: Mapping[str, int]


class StoreUpkeep(Protocol):
    """Maintenance of a store that is a file. Every method may raise `StoreError`."""

    def measure(self) -> StoreInfo:
        """Return its size and content."""

    def vacuum(self, *, whole: bool = False) -> None:
        """Return free space to the disk, in steps between which others write.

        The first time, the file is rewritten, and other processes wait for that.

        Args:
            whole: whether to rewrite it each time, which also defragments it.
        """

    def back_up(self, target: Path) -> None:
        """Back up the current state of the store to a new file.

        Raises:
            FileExistsError: the file exists already.
        """

    def check(self) -> list[str]:
        """Return the problems of the store; none if it is intact."""

    def close(self) -> None:
        """Close the file. It may be called twice."""


class Journal(Protocol):
    """Writes events: synchronously if they must not be lost, otherwise in the background.

    It holds the fence of each root that this process executes, and renews their leases. A writer
    passes the token of the lease of its run: after an attempt has ended, its remains can't write
    into the next one.
    """

    def create(self, event: Event, token: str | None = None, /) -> None:
        """Store a new root or flow run now; from then on, this process holds a root's lease."""

    def record(self, event: Event, token: str | None = None, /) -> Run:
        """Store a change of a root or flow run now, after appended ones. Raises `FencedRun`."""

    def refresh(self, run_id: str, token: str | None = None, /) -> Run:
        """Return a flow run with changes made by others. Raises `FencedRun`."""

    def append(self, event: Event, token: str | None = None, /) -> None:
        """Store an event soon: in 50 ms, at a flush, or when there are many. Raises `FencedRun`."""

    def is_full(self) -> bool:
        """Return whether the queue is full: the next `append` writes, unless on an event loop."""

    def flush(self) -> None:
        """Store everything that was appended. Raises `StoreError` if that fails."""

    def count_unwritten(self) -> int:
        """Return the number of appended events that have not been written yet."""

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Call `stop` from another thread with the signal when others request to stop that root."""

    def release(self, root_id: str) -> None:
        """Flush, and stop renewing the root's lease: this process stops writing about it."""

    def abandon(self, root_id: str, token: str | None = None, /) -> None:
        """Stop renewing the lease of a root whose end can't be stored: it will become Crashed."""

    def leave(self, root_id: str, run_ids: Iterable[str], /) -> None:
        """Refuse further events of task runs in a root's tree that could not be stopped.

        Their threads may write again when the root has ended, or is executed again: from now on
        they get a `FencedRun`.
        """

    def close(self) -> None:
        """Flush, and end the thread."""
