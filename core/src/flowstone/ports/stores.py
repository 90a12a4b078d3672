"""Where facts and documents are kept, and the one way to write facts."""

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
    """Keeps runs and the facts about them.

    Every method may raise `StoreError`. Methods may be called from several threads. The
    store's own clock decides when a lease expires: those of its clients may be wrong.
    """

    def create(self, event: Event) -> None:
        """Keep a run that is born; the event's payload is the `Run`. Written through.

        Or an artifact of no run, whose ids of runs are empty. An event that is kept already
        changes nothing. The run's lease begins now, and lasts for its `seconds`.

        Raises:
            Conflict: the root of its tree has ended; the error carries it.
        """

    def record(self, event: Event) -> Run:
        """Keep a change of a run by compare-and-set, and return the run as it is then.

        The event's payload is a `StateChange`; the run must be at the version just below it.
        When a root ends, every run of its tree that has not ended is ended in the same write: with
        CRASHED where the root crashed, and with CANCELLED otherwise. A root's lease ends with it:
        its token lets the same writer add log lines and artifacts, and nothing else.
        A `Handover` gives a root that has ended, or that nobody holds, to another writer, or takes
        it from its own. An event that is kept already changes nothing.

        Raises:
            RunNotFound: there is no such run.
            Conflict: it is at another version, or held by somebody; the error carries it.
            IllegalTransition: `NEXT` has no such move.
        """

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        """Keep a batch of facts, all or none; ones that are kept already change nothing.

        Births of runs, changes of task runs, log lines and artifacts; of a root that has ended,
        only the last two.
        A run is its birth and its changes in the order of their versions, whatever the order in
        which they come; one that is older than the run does not move it back.

        Raises:
            RunNotFound: there is no such root run.
            Conflict: the root run is at another version or under another lease, has ended, or is
                not the root of every fact; nothing is kept.
        """

    def reap(self) -> list[Run]:
        """End, with the reason, each unfinished root whose lease has run out.

        It becomes CRASHED; one that was CANCELLING becomes CANCELLED, as somebody asked for its
        end. A store that can see that the holder is dead need not wait for the lease; one that can
        see that it is alive lets it be. Returns the roots that were ended.
        """

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        """Delete whole trees that have ended: their runs and every fact about them.

        A root that has not ended stays, with its tree, and so does what is no root. No root is
        found any more from its deletion on; its tree and facts may go in steps between which
        others write, and what an earlier call was kept from deleting goes, too, also where no id
        is given. Cursors stay what they are: none is given to two facts.

        Returns:
            The ids of the roots that were deleted.
        """

    def run(self, ref: str) -> Run:
        """Return a run by its id, by a part of it, or by its name.

        A part is eight or more characters that only this id begins or ends with; of several runs
        of one name it is the newest.

        Raises:
            RunNotFound: there is none, or the part fits several.
        """

    def runs(self, query: RunQuery) -> list[Run]:
        """Return the runs that fit, ordered by id."""

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count the task runs of these trees, by the run that called them and by their state.

        A state is a value of `StateType`, or ``SKIPPED`` for what is Cancelled by that name. Runs
        that called none are left out.
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
        """Return facts in the order they were kept, each with its cursor, from after a cursor."""

    def close(self) -> None:
        """Let go of files and connections; closing twice is fine."""


class DocumentStore(Protocol):
    """Keeps documents by kind and name. Every method may raise `StoreError`."""

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        """Save a document, and return it with its new version.

        Args:
            kind: what it is.
            name: unique within the kind.
            body: JSON values only.
            expected: None saves whatever is there; 0 only where there is none yet; a version only
                over that version.

        Raises:
            ObjectAlreadyExists: `expected` is 0 and the name is taken.
            StaleDocument: the document is at another version than `expected`, or is gone.
        """

    def get(self, kind: str, name: str) -> Document:
        """Return a document.

        Raises:
            ObjectNotFound: nothing of that kind is saved under that name; names near ones.
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
            prefix: return the documents of all kinds that begin with `kind`.
            names: only documents with these names.
            after: only documents that come after this kind and name, for the next page.
            limit: the maximum number of documents.
        """

    def delete(self, kind: str, name: str) -> None:
        """Delete a document.

        Raises:
            ObjectNotFound: nothing of that kind is saved under that name.
        """

    def close(self) -> None:
        """Let go of files and connections; closing twice is fine."""


class StoreInfo(NamedTuple):
    """How large a store is, and what is in it.

    Attributes:
        path: the file.
        schema: the number of its tables' last migration.
        file_bytes: of the file itself.
        log_bytes: of what is not moved into the file yet.
        free_bytes: of the file that a vacuum gives back.
        counts: rows by what they are: ``runs``, ``task runs``, ``facts``, ``documents``.
    """

    path: Path
    schema: int
    file_bytes: int
    log_bytes: int
    free_bytes: int
    counts: Mapping[str, int]


class StoreUpkeep(Protocol):
    """What an operator does with a store that is a file. Every method may raise `StoreError`."""

    def measure(self) -> StoreInfo:
        """Return how large it is, and what is in it."""

    def vacuum(self, *, whole: bool = False) -> None:
        """Give free space back to the disk, in steps between which others write.

        The first time the file is written anew, and others wait for that.

        Args:
            whole: write it anew each time, which also packs what is scattered.
        """

    def back_up(self, target: Path) -> None:
        """Write what the store is at this moment to a file that is not there yet.

        Raises:
            FileExistsError: it is there.
        """

    def check(self) -> list[str]:
        """Return what is wrong with it; nothing where it is whole."""

    def close(self) -> None:
        """Let go of the file; closing twice is fine."""


class Journal(Protocol):
    """The one way to write facts: at once where they must not be lost, behind where they may lag.

    It holds the fence of each root that this process drives, and renews their leases. Who writes a
    run says the token of the lease under which it does: what is left of an attempt that is over
    writes nothing into the next one.
    """

    def create(self, event: Event, token: str | None = None, /) -> None:
        """Keep the birth of a root or a flow run at once; a root is driven from here on."""

    def record(self, event: Event, token: str | None = None, /) -> Run:
        """Keep a change of a root or a flow run at once, after all appended. Raises `FencedRun`."""

    def refresh(self, run_id: str, token: str | None = None, /) -> Run:
        """Return a flow run as others may have moved it. Raises `FencedRun`."""

    def append(self, event: Event, token: str | None = None, /) -> None:
        """Keep a fact soon: in 50 ms, at a barrier, or when there are many. Raises `FencedRun`."""

    def is_full(self) -> bool:
        """Tell whether the queue is full: the next `append` writes, unless on an event loop."""

    def flush(self) -> None:
        """A barrier: keep all that was appended. Raises `StoreError` where that can't be done."""

    def count_unwritten(self) -> int:
        """Return how many appended facts have not been written yet."""

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Call `stop`, from another thread, with what somebody asks that root to stop with."""

    def release(self, root_id: str) -> None:
        """Flush, and stop renewing the root's lease: its process has no more to say of it."""

    def abandon(self, root_id: str, token: str | None = None, /) -> None:
        """Stop renewing the lease of a root whose end can't be kept: it will be found Crashed."""

    def leave(self, root_id: str, run_ids: Iterable[str], /) -> None:
        """Take nothing more of task runs in a root's tree that could not be stopped.

        Their threads may speak again when the root has ended, or is executed once more: from here
        on they are told that by a `FencedRun`.
        """

    def close(self) -> None:
        """Flush, and end the thread."""
