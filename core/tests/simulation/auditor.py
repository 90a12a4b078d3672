"""The invariants: what must hold after every write of any process, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flowstone.records.events import INFORMATIONAL
from flowstone.records.runs import Handover, Run, RunQuery, StateChange
from flowstone.records.states import BIRTH, COMPLETED, NEXT, PAUSED, TERMINAL, StateType
from flowstone.stores.rules import refold

if TYPE_CHECKING:
    from flowstone.ports import RunStore
    from flowstone.records.events import Event
    from flowstone.states import State

    from .process import Process


#: What others may ask of a run without taking it away from its writer.
REQUESTS = frozenset({"Cancelling", "Suspending"})


class History:
    """The facts of one run, and how far they have been checked."""

    def __init__(self) -> None:
        self.facts: list[Event] = []
        self.states: dict[int, StateType] = {}
        self.names: set[str] = set()
        self.checked = 0

    @property
    def state(self) -> StateType:
        return self.states[self.checked]


class Auditor:
    """Reads the stream of facts behind the store's back, and says what is broken."""

    def __init__(self, store: RunStore, fail: Callable[[str], None]) -> None:
        self._store, self._fail = store, fail
        self._cursor, self._is_reaping = 0, False
        self.kept: set[str] = set()
        self.names: dict[str, str] = {}
        self.roots: dict[str, str] = {}  # of each run
        self.trees: dict[str, list[str]] = {}
        self.histories: dict[str, History] = {}
        self.drivers: dict[str, Process] = {}  # of each root
        self.fenced: dict[tuple[str, str], str] = {}  # who may write which root no more, and why
        self.suspended: set[str] = set()
        self.resumed: Counter[str] = Counter()  # how often each run was
        self.passed: dict[str, set[int]] = {}  # the pauses that each run has behind it

    @property
    def count(self) -> int:
        return len(self.kept)

    def expect(self, holds: bool, message: str) -> None:
        if not holds:
            self._fail(message)

    def name(self, run_id: str) -> str:
        return self.names.get(run_id, "?")

    def is_final(self, run_id: str) -> bool:
        history = self.histories.get(run_id)
        return history is not None and history.checked > 0 and history.state in TERMINAL

    def may_be_retried(self, root: str) -> bool:
        return self.is_final(root) and self.histories[root].state is not COMPLETED

    def is_asked_to_stop(self, run_id: str) -> bool:
        return self.requests(run_id) > 0

    def requests(self, run_id: str) -> int:
        """Return in how many ways a run was asked to stop."""
        history = self.histories.get(run_id)
        return 0 if history is None else len(REQUESTS & history.names)

    # ------------------------------------------------------------ after every write

    def look(self, process: Process) -> None:
        """Check what a write of this process has added."""
        found = self._store.events(self._cursor)
        if not found:
            self._is_reaping = False
            return
        self._cursor = found[-1][0]
        over = {root for event in found if self.is_final(root := event[1].root_id)}
        ends = {event.root_id for _, event in found if _ends_root(event)}
        touched: dict[str, None] = {}
        for _, event in found:
            self._take(event, process)
            self._check_writer(event, process, over, ends)
            if not isinstance(event.payload, INFORMATIONAL):
                touched[event.run_id] = None
        for run_id in touched:
            self._check_steps(run_id)
            self._check_row(run_id)
        for root in dict.fromkeys(self.roots[run_id] for run_id in touched):
            self._check_tree(root)
        self._is_reaping = False

    def _take(self, event: Event, process: Process) -> None:
        self.expect(event.id not in self.kept, f"a fact is kept twice: {event.kind}")
        self.kept.add(event.id)
        payload = event.payload
        if isinstance(payload, Run):
            self.expect(event.run_id not in self.names, f"{payload.name} was born twice")
            driver = self.drivers.get(event.root_id, process)
            self.names[event.run_id] = f"{driver.name}/{payload.name}"
            self.roots[event.run_id] = event.root_id
            self.trees.setdefault(event.root_id, []).append(event.run_id)
            if payload.is_root:
                self.drivers[event.run_id] = process
                if payload.lease is None and payload.state.type is StateType.SCHEDULED:
                    self.suspended.add(event.run_id)  # it waits for the first process that takes it
        if isinstance(payload, (Run, StateChange)):
            history = self.histories.setdefault(event.run_id, History())
            history.facts.append(event)
            self.expect(
                payload.version not in history.states,
                f"{self.name(event.run_id)} has version {payload.version} twice",
            )
            history.states[payload.version] = payload.state.type
            history.names.add(payload.state.name)

    def _check_writer(self, event: Event, process: Process, over: set[str], ends: set[str]) -> None:
        """Nothing comes from who was fenced, nor changes a tree whose root has ended."""
        root, name = event.root_id, self.name(event.run_id)
        payload = event.payload
        if isinstance(payload, Handover) and payload.lease is not None:
            self._check_takeover(event, process)
            return
        name_of_state = "" if isinstance(payload, INFORMATIONAL) else payload.state.name
        if name_of_state == "Resuming":
            self._check_resumption(event.run_id)
        is_request = name_of_state in {*REQUESTS, "Resuming"}
        driver = self.drivers.get(root)
        why = self.fenced.get((root, process.name))
        if root in self.suspended and name_of_state and (event.run_id == root or root in ends):
            why = None  # nobody holds it: the first process may end it, and its tree with it
        if why is not None and not is_request and not self._is_reaping:
            self._fail(f"{process.name} wrote {event.kind} of {name}, although {why}")
        if isinstance(payload, INFORMATIONAL):
            return
        is_take_up = event.run_id == root and payload.state.type is StateType.SCHEDULED
        if root in over and not is_take_up:
            self._fail(f"{event.kind} of {name} was kept after its root had ended")
        if isinstance(payload, Handover):
            self.suspended.add(root)
            self.fenced[root, process.name] = "it had suspended it"
        elif event.run_id == root and driver is not process and not is_request:
            assert driver is not None
            self.suspended.discard(root)
            why = f"{process.name} had made the root {payload.state.type}"
            self.fenced[root, driver.name] = why

    def _check_takeover(self, event: Event, process: Process) -> None:
        """Only what nobody holds is taken over, by one, who is its writer from here on."""
        root, payload = event.root_id, event.payload
        assert isinstance(payload, Handover)
        before = self.histories[root].state
        self.expect(
            before in TERMINAL or root in self.suspended,
            f"{process.name} took over {self.name(root)}, which was {before}",
        )
        if payload.state.name == "Resuming":
            self._check_resumption(root)
        self.suspended.discard(root)
        self.fenced[root, self.drivers[root].name] = f"{process.name} had taken it over"
        self.fenced.pop((root, process.name), None)
        self.drivers[root] = process
        process.abandoned.discard(root)

    def _check_resumption(self, run_id: str) -> None:
        """Only what waits is resumed, once."""
        before = self.histories[run_id].state
        self.expect(before is PAUSED, f"{self.name(run_id)} was resumed when it was {before}")
        self.resumed[run_id] += 1

    def passes(self, run_id: str, pause: int) -> None:
        """A run goes on from each of its pauses by a resumption of its own."""
        passed = self.passed.setdefault(run_id, set())
        passed.add(pause)
        self.expect(
            len(passed) <= self.resumed[run_id],
            f"{self.name(run_id)} went on from {len(passed)} pauses, but was resumed "
            f"{self.resumed[run_id]} times",
        )

    def _check_steps(self, run_id: str) -> None:
        """Versions without a gap, each step one of `NEXT`, and one end."""
        history, name = self.histories[run_id], self.name(run_id)
        while (version := history.checked + 1) in history.states:
            state = history.states[version]
            if version == 1:
                self.expect(state in BIRTH, f"{name} was born {state}")
            else:
                before = history.state
                self.expect(state in NEXT[before], f"{name} went from {before} to {state}")
            history.checked = version
        self.expect(
            history.checked == len(history.states), f"{name} lacks version {history.checked + 1}"
        )
        ends = sum(state in TERMINAL for state in history.states.values())
        begins = sum(
            history.states[version - 1] in TERMINAL
            for version in history.states
            if version > 1 and history.states[version] is StateType.SCHEDULED
        )
        self.expect(ends - begins <= 1, f"{name} ended {ends} times")

    def _check_row(self, run_id: str) -> None:
        """A run is what its facts say."""
        made, row = refold(self.histories[run_id].facts), self._store.run(run_id)
        assert made is not None
        same = _facts(made) == _facts(row)
        self.expect(same, f"{row.name} is {_facts(row)}, but its facts make it {_facts(made)}")

    def _check_tree(self, root: str) -> None:
        was_suspended = root in self.suspended and not self.is_asked_to_stop(root)
        may_be_open = not was_suspended or self.drivers[root].faults
        if not self.is_final(root) and may_be_open:
            return
        tree = self.trees[root]
        open_ones = [
            each for each in tree if not self.is_final(each) and each not in self.suspended
        ]
        names = ", ".join(map(self.name, open_ones))
        self.expect(not open_ones, f"{self.name(root)} has ended, but not {names}")

    # ------------------------------------------------------------ leases

    def reaping(self, now: float, reap: Callable[[], list[Run]]) -> list[Run]:
        """Only what nobody holds any more may be reaped."""
        self._is_reaping = True  # anybody may do that
        before = {run.id: run for run in self._store.runs(RunQuery(listed=True))}
        ended = reap()
        for run in ended:
            lease = before[run.id].lease
            lapsed = lease is not None and lease.until < now
            self.expect(lapsed, f"{run.name} was reaped while its lease held")
            driver = self.drivers[run.id]
            holds = run.id not in driver.abandoned and not driver.was_held_up
            lives = holds and not driver.is_dead
            self.expect(not lives, f"{driver.name} lives, and lost the lease of {run.name}")
        return ended

    # ------------------------------------------------------------ barriers and answers

    def barrier(self, process: Process, said: Iterable[Event], *, strict: bool) -> None:
        """What a barrier has let pass is kept; or, where that counts, its root was lost."""
        for event in said:
            if event.id in self.kept:
                continue
            root = event.root_id
            if (root, process.name) in self.fenced or (not strict and self.is_final(root)):
                continue
            if root in process.abandoned:  # it has taken it up maybe, but knows of no answer
                continue
            self._fail(
                f"{process.name} was told that {event.kind} of {self.name(event.run_id)} is kept, "
                "but it is not"
            )

    def written(self, process: Process, event: Event, run: Run) -> None:
        """What was written through is there: the version that its writer was told."""
        assert isinstance(event.payload, StateChange)
        states = self.histories[run.id].states if run.id in self.histories else {}
        written = {states.get(run.version), states.get(event.payload.version)}
        same = event.payload.state.type in written
        self.expect(same, f"{process.name} was told that {run.name} is {run.state.name}: it is not")

    def answered(self, process: Process, run_id: str, end: State) -> None:
        """What a caller was told is what is kept."""
        if run_id not in self.histories:
            self._fail(f"a caller was told {end.name} of a run that is not kept")
        root, history = self.roots[run_id], self.histories[run_id]
        kept = history.state
        ok = kept is end.type or (root, process.name) in self.fenced
        if self.drivers[root] is not process:  # it looked on, and its writer may have gone on
            ok = ok or end.type in history.states.values()
        self.expect(ok, f"{self.name(run_id)}: its caller was told {end.name}, but kept is {kept}")

    # ------------------------------------------------------------ the end

    def finish(self, taken_up: set[str]) -> None:
        """At the end, everything has ended, and the rows are what the facts say."""
        for run in self._store.runs(RunQuery()):
            self.expect(run.id in self.histories, f"{run.name} has no facts")
            self._check_row(run.id)
            if run.root_id not in taken_up and run.root_id not in self.suspended:
                self.expect(run.state.is_final(), f"{run.name} is still {run.state.name}")


def _ends_root(event: Event) -> bool:
    is_root = event.run_id == event.root_id and not isinstance(event.payload, INFORMATIONAL)
    return is_root and event.payload.state.is_final()  # type: ignore[union-attr]


def _facts(run: Run) -> tuple[object, ...]:
    state = run.state
    return state.type.value, state.name, state.message, run.version, run.attempt, run.ended
