"""A machine of keepers, journal and store under random faults, requests and lapses of time.

Several roots and their task runs live in one process whose store fails now and then, while others
ask for the end of runs, and reap those whose lease has run out. Whatever the order: what is kept
obeys `NEXT`, nothing is unfinished under a finished root, and nothing that was kept is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from flowstone.engine.journal import WriteBehind
from flowstone.engine.keeper import Keeper
from flowstone.errors import CancelSignal, Conflict, FencedRun, StoreBusy
from flowstone.events import Event, changed
from flowstone.ids import new_id
from flowstone.runs import Change, Fence, Lease, Origin, Run, RunQuery
from flowstone.states import (
    BIRTH,
    CANCELLED,
    CANCELLING,
    COMPLETED,
    FAILED,
    NEXT,
    PENDING,
    RUNNING,
    Cancelling,
    StateType,
)
from flowstone.stores.memory import MemoryRuns

LEASE = 30.0


class Clock:
    now = 1000.0

    def time(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.now += seconds


class Faulty(MemoryRuns):
    """Fails while it is told to, before or after it has done its work."""

    fails = ""

    def _around(self, work: Any) -> Any:
        if self.fails == "before":
            raise StoreBusy("x.db", 1)
        result = work()
        if self.fails == "after":
            raise StoreBusy("x.db", 1)
        return result

    def create(self, event: Event) -> None:
        self._around(lambda: super(Faulty, self).create(event))

    def record(self, event: Event) -> Run:
        found: Run = self._around(lambda: super(Faulty, self).record(event))
        return found

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        self._around(lambda: super(Faulty, self).append(events, fence))


class Unthreaded(WriteBehind):
    """Writes only when a rule says so: the machine is the scheduler."""

    def _begin(self) -> None:
        pass


class Machine(RuleBasedStateMachine):
    roots = Bundle("roots")
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = Faulty()
        self.journal = Unthreaded(self.store, self.clock, LEASE)
        self.kept: dict[str, StateType] = {}
        self.stops: list[str] = []

    def keeper(self, kind: Any, root: str | None) -> Keeper:
        key, now = new_id(), self.clock.time()
        lease = Lease(new_id(), "here/1/x", now + LEASE) if root is None else None
        origin = Origin(
            key, kind, f"{kind}-{key[-4:]}", kind, root or key, root, now, (), None, None, (), lease
        )
        services: Any = SimpleNamespace(journal=self.journal, clock=self.clock)
        return Keeper(services, origin)

    def attempt(self, keeper: Keeper, kind: StateType) -> bool:
        """Move a run; a fence, a request or a fault is an answer, too."""
        try:
            keeper.record(kind, kind.value.capitalize())
        except (FencedRun, CancelSignal, StoreBusy):
            return False
        return True

    @rule(target=roots)
    def begin(self) -> Any:
        keeper = self.keeper("flow", None)
        if self.attempt(keeper, RUNNING):
            keeper.on_request(lambda _: self.stops.append(keeper.origin.id))
            return keeper
        return None

    @rule(root=roots, target=tasks, birth=st.sampled_from([RUNNING, PENDING]))
    def call(self, root: Keeper | None, birth: StateType) -> Any:
        if root is None:
            return None
        keeper = self.keeper("task", root.origin.id)
        return keeper if self.attempt(keeper, birth) else None

    @rule(task=consumes(tasks), end=st.sampled_from([COMPLETED, FAILED, CANCELLED]))
    def end_task(self, task: Keeper | None, end: StateType) -> None:
        if task is not None and self.attempt(task, end):
            self.kept[task.origin.id] = end

    @rule(root=consumes(roots), end=st.sampled_from([COMPLETED, FAILED]))
    def end_root(self, root: Keeper | None, end: StateType) -> None:
        if root is not None:
            self.attempt(root, end)

    @rule(how=st.sampled_from(["", "before", "after"]))
    def break_or_mend(self, how: str) -> None:
        self.store.fails = how

    @rule()
    def flush(self) -> None:
        try:
            self.journal.flush()
        except StoreBusy:
            assert self.store.fails

    @rule(seconds=st.floats(0, 3 * LEASE))
    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @rule()
    def renew(self) -> None:
        self.journal._renew()

    @rule()
    def look(self) -> None:
        self.journal._look()

    @precondition(lambda self: not self.store.fails)
    @rule()
    def reap(self) -> None:
        self.store.reap(self.clock.now)

    @precondition(lambda self: not self.store.fails)
    @rule(root=roots)
    def ask_for_its_end(self, root: Keeper | None) -> None:
        if root is None:
            return
        found = self.store.run(root.origin.id)
        if not found.state.is_final() and found.state.type is not CANCELLING:
            try:
                self.store.record(changed(found, Cancelling(), found.attempt))
            except Conflict:
                raise AssertionError("nobody else writes here") from None

    @invariant()
    def what_is_kept_obeys_the_table(self) -> None:
        states: dict[str, list[StateType]] = {}
        for _, event in self.store.events():
            payload = event.payload
            if isinstance(payload, (Run, Change)):
                states.setdefault(event.run_id, []).append(payload.state.type)
        for kinds in states.values():
            assert kinds[0] in BIRTH
            for now, then in pairwise(kinds):
                assert then in NEXT[now], f"{now} -> {then}"

    @invariant()
    def nothing_is_unfinished_under_a_finished_root(self) -> None:
        runs = {run.id: run for run in self.store.runs(RunQuery())}
        for run in runs.values():
            if runs[run.root_id].state.is_final():
                assert run.state.is_final(), run

    @invariant()
    def an_end_stands(self) -> None:
        for run in self.store.runs(RunQuery()):
            end = self.kept.get(run.id)
            if end is not None and run.state.is_final() and run.ended is not None:
                root = self.store.run(run.root_id)
                assert run.state.type is end or root.state.is_final()

    def teardown(self) -> None:
        self.store.fails = ""
        self.journal.flush()
        roots = {run.id: run for run in self.store.runs(RunQuery(listed=True))}
        for run in self.store.runs(RunQuery()):
            end = self.kept.get(run.id)
            if end is not None and not roots[run.root_id].state.is_final():
                assert run.state.type is end, "a fact that nobody fenced is lost"


Machine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
