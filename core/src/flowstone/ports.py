"""The ports: what the engine needs of the world, as small Protocols that many things can fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flowstone.watchers import Audience as Audience  # noqa: PLC0414 - handed on
from flowstone.watchers import Observer as Observer  # noqa: PLC0414 - handed on

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from flowstone.documents import Document
    from flowstone.errors import StopSignal
    from flowstone.events import Event
    from flowstone.runs import Fence, Origin, Run, RunQuery
    from flowstone.states import State, StateType


class RunStore(Protocol):
    """Keeps runs and the facts about them.

    Every method may raise `StoreError`. Methods may be called from several threads.
    """

    def create(self, event: Event) -> None:
        """Keep a run that is born; the event's payload is the `Run`. Written through.

        An event that is kept already changes nothing.

        Raises:
            Conflict: the root of its tree has ended; the error carries it.
        """

    def record(self, event: Event) -> Run:
        """Keep a change of a run by compare-and-set, and return the run as it is then.

        The event's payload is a `Change`; the run must be at the version just below the change's.
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

    def renew(self, fences: Sequence[Fence], until: float) -> list[Run]:
        """Renew leases; return the runs whose fence no longer holds, as they are now.

        A lease is renewed while its token is the fence's and its run has not ended, at whatever
        version: a run that somebody asked to cancel needs the time to do so.
        """

    def reap(self, now: float) -> list[Run]:
        """End, as CRASHED with the reason, each unfinished root whose lease has run out.

        A store that can see that the holder is dead need not wait for the lease; one that can see
        that it is alive lets it be. Returns the roots that were ended.
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

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[StateType, int]]:
        """Count the task runs of these trees, by the run that called them and by their state.

        Runs that called none are left out.
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

    def find(self, kind: str = "") -> list[Document]:
        """Return the documents whose kind begins with `kind`, ordered by kind and name."""

    def delete(self, kind: str, name: str) -> None:
        """Delete a document.

        Raises:
            ObjectNotFound: nothing of that kind is saved under that name.
        """

    def close(self) -> None:
        """Let go of files and connections; closing twice is fine."""


class Journal(Protocol):
    """The one way to write facts: at once where they must not be lost, behind where they may lag.

    It holds the fence of each root that this process drives, and renews their leases.
    """

    def create(self, event: Event) -> None:
        """Keep the birth of a root or a flow run at once; a root is driven from here on."""

    def record(self, event: Event) -> Run:
        """Keep a change of a root or a flow run at once, after all appended. Raises `FencedRun`."""

    def heed(self, run_id: str) -> Run:
        """Return a flow run as others may have moved it. Raises `FencedRun`."""

    def append(self, event: Event) -> None:
        """Keep a fact soon: in 50 ms, at a barrier, or when there are many. Raises `FencedRun`."""

    def flush(self) -> None:
        """A barrier: keep all that was appended. Raises `StoreError` where that can't be done."""

    def on_request(self, root_id: str, stop: Callable[[type[StopSignal]], None]) -> None:
        """Call `stop`, from another thread, with what somebody asks that root to stop with."""

    def release(self, root_id: str) -> None:
        """Flush, and stop renewing the root's lease: its process has no more to say of it."""

    def abandon(self, root_id: str) -> None:
        """Stop renewing the lease of a root whose end can't be kept: it will be found Crashed."""

    def close(self) -> None:
        """Flush, and end the thread."""


class Promise(Protocol):
    """A submitted task, as the engine sees it."""

    name: str
    run_id: str
    observed: bool

    def done(self) -> bool:
        """Tell whether it has ended."""

    def withdraw(self) -> bool:
        """End it as CANCELLED if it has not started; tell whether it will not run."""

    def stop(self, error: type[BaseException]) -> None:
        """Raise an error where it runs, as soon as Python code runs there."""

    def wait(self, timeout: float | None = None) -> None:
        """Block until it has ended, or the time is over."""

    async def await_end(self) -> None:
        """Let other coroutines run until it has ended."""

    def final_state(self) -> State:
        """Return the state that it ended in, without counting as somebody looking at it."""


class Asked(Protocol):
    """A call of a flow or task, as whoever asked for it put it.

    Attributes:
        unit: the flow or task.
        args, kwargs: what it was given; futures stand in it for their values.
    """

    @property
    def unit(self) -> Any: ...
    @property
    def args(self) -> tuple[Any, ...]: ...
    @property
    def kwargs(self) -> Mapping[str, Any]: ...


class Standing(Protocol):
    """A run as it stands now.

    Attributes:
        origin: what it was, or will be, born with.
        attempt: how often it has been started.
        state: the state that it is in.
    """

    @property
    def origin(self) -> Origin: ...
    @property
    def attempt(self) -> int: ...
    @property
    def state(self) -> State: ...


class BlobStore(Protocol):
    """Keeps bytes by path. Every `ObjectStore` block is one."""

    def read_path(self, path: str) -> bytes:
        """Return what is kept. Raises `ObjectMissing` where there is nothing."""

    def write_path(self, path: str, content: bytes) -> str:
        """Keep bytes, all or none, over what was there; return the path."""


class Serializer(Protocol):
    """Values as bytes and back."""

    @property
    def type(self) -> str:
        """The name that a kept result carries."""

    def dumps(self, value: Any) -> bytes:
        """Return the value as bytes. Raises `NotSerializable`."""

    def loads(self, content: bytes) -> Any:
        """Return the value again."""


class Look(Protocol):
    """What came of looking for a kept result.

    Attributes:
        key: what the result is kept by; None where it will not be kept.
        told: how the key was made and why it hit or missed, for the run's state.
        found: whether there is a result.
        value: the result.
    """

    @property
    def key(self) -> str | None: ...
    @property
    def told(self) -> str: ...
    @property
    def found(self) -> bool: ...
    @property
    def value(self) -> Any: ...


class Staging(Protocol):
    """The transaction around a run, as the engine sees it."""

    def stage_run(
        self,
        name: str,
        save: Callable[[], None] | None,
        on_commit: Sequence[Callable[..., Any]],
        on_rollback: Sequence[Callable[..., Any]],
    ) -> None:
        """Take a run that has completed: what to do at the commit, or at a rollback."""


class Keeping(Protocol):
    """How one run's result is looked for, and kept."""

    def look(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], patience: float | None = None, /
    ) -> Look | None:
        """Look for a result of the same call; with isolation, nobody else computes it meanwhile."""

    def keep(self, look: Look, value: Any) -> None:
        """Keep the result. Raises `NotSerializable` or `StorageError`."""

    def read(self, key: str) -> Any:
        """Return what is kept. Raises `MissingResult`."""

    def end(self, look: Look | None, /) -> None:
        """Let others compute it again; None stands for a look that was not finished."""


class Clock(Protocol):
    """Time, and waiting for it."""

    def time(self) -> float:
        """Return the seconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Block this thread."""

    async def asleep(self, seconds: float) -> None:
        """Let other coroutines run meanwhile."""


class Secrets(Protocol):
    """Seals what must not be read without the key."""

    def seal(self, value: bytes, purpose: str) -> str:
        """Return a token that only `open`, with the same purpose and key, can read.

        Raises:
            SecretKeyInvalid: the key can't be used.
        """

    def open(self, token: str, purpose: str) -> bytes:
        """Return what was sealed.

        Raises:
            SecretKeyInvalid: the key can't be used.
            SecretUnreadable: the token was sealed with another key or purpose, or was changed.
        """


class Caller(Protocol):
    """Calls functions in other processes, while the runs' lives are driven here."""

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        """Call the function; return its value or raise its error.

        Args:
            fn: sync or async.
            args: its arguments.
            kwargs: those by name.
            runs: the run that it belongs to, and the flow run around that.
            seconds: after so long it is killed; None for no limit.

        Raises:
            NotSendable: the function, an argument or the value can't be sent.
            ProcessDied: the process ended before the call did.
            RunTimeout: the call took too long.
        """

    def interrupt(self, thread: int) -> None:
        """Kill the call that a thread waits for."""


class Runner(Protocol):
    """Where submitted calls run: each once, some time, elsewhere.

    Attributes:
        max_in_flight: the window of each `.map` that does not say; None for no window.
        caller: makes the calls of functions elsewhere than the rest of a run; None for here.
    """

    max_in_flight: int | None
    caller: Caller | None

    def submit(self, call: Callable[[], None]) -> None:
        """Run a call, which never raises."""

    def submit_async(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function's call, which never raises, on an event loop of the runner's."""

    def close(self) -> None:
        """Take no more; what was taken and has not begun may be dropped."""
