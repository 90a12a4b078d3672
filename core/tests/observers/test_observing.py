"""Who observes is told all, in order, once; and whatever it does, the run goes on."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, get_run_logger, task
from flowstone.artifacts import create_markdown_artifact
from flowstone.context.current import services
from flowstone.observers import observing
from flowstone.observers.audience import ObserverGroup
from flowstone.observers.feed import Feed
from flowstone.observers.observed_runs import ObservedRuns
from flowstone.records.events import Event, make_birth_event
from flowstone.records.states import COMPLETED, FAILED, MISSING
from flowstone.stores.memory import MemoryRuns
from flowstone_testing.conformance import StoreClock
from flowstone_testing.conformance.samples import begin, child_run, fence, life, line, step

if TYPE_CHECKING:
    from collections.abc import Sequence


pytestmark = pytest.mark.usefixtures("services")


class Witness:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.threads: set[str] = set()
        self.closed = 0

    def observe(self, events: Sequence[Event]) -> None:
        self.events += events
        self.threads.add(threading.current_thread().name)

    def close(self) -> None:
        self.closed += 1


@task
def double(x: int) -> int:
    get_run_logger().info("doubling %d", x)
    return 2 * x


@flow
def doubles(count: int) -> int:
    create_markdown_artifact("# Hello")
    return sum(double.map(range(count)).result())


def stored() -> list[Event]:
    return [event for _, event in services().runs.events()]


def test_it_is_told_what_is_kept_in_order_and_once() -> None:
    with observing(Witness()) as witness:
        assert doubles(30) == 870
        assert doubles(3) == 6
    assert witness.events == stored()
    assert {event.kind for event in witness.events} >= {
        "FlowRunStarted", "FlowRunCompleted", "TaskRunStarted", "TaskRunCompleted",
        "LogWritten", "ArtifactSaved",
    }  # fmt: skip
    assert witness.closed == 1
    assert witness.threads == {"flowstone-Witness"}


def test_it_is_told_of_the_block_alone() -> None:
    doubles(1)
    with observing(Witness()) as witness:
        pass
    doubles(1)
    assert (witness.events, witness.closed) == ([], 1)


def test_a_flow_that_is_running_is_observed_from_there_on() -> None:
    @flow
    def around() -> Witness:
        double(1)
        with observing(Witness()) as witness:
            double(2)
        double(3)
        return witness

    kinds = [event.kind for event in around().events]
    assert "LogWritten" in kinds
    assert kinds[-1] == "TaskRunCompleted"
    assert "FlowRunStarted" not in kinds


def test_values_are_not_held_on_to() -> None:
    with observing(Witness()) as witness:
        doubles(2)
    ends = [event for event in witness.events if event.kind.endswith("Completed")]
    assert [event.payload.state.data for event in ends] == [MISSING] * 3  # type: ignore[union-attr]


class Breaks(Witness):
    def observe(self, events: Sequence[Event]) -> None:
        super().observe(events)
        raise SystemExit("cannot go on")

    def close(self) -> None:
        raise ValueError("cannot close either")


def test_an_error_is_logged_once_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with observing(Breaks()) as breaks, observing(Witness()) as witness:
        doubles(5)
        doubles(5)
    assert breaks.events == witness.events == stored()
    said = [record.message for record in caplog.records if record.name == "flowstone.observers"]
    assert len(said) == 2
    assert said[0].startswith(f"observer 'Breaks' of {__name__} raised SystemExit: cannot go on.")
    assert "in all" in said[1]


class Slow(Witness):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def observe(self, events: Sequence[Event]) -> None:
        self.go_on.wait()
        super().observe(events)


def test_a_slow_one_holds_nobody_up_and_says_what_it_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner, slow, witness, audience = MemoryRuns(), Slow(), Witness(), ObserverGroup(limit=20)
    store = ObservedRuns(inner, audience)
    audience.join(slow)
    root = begin(store)
    for number in range(60):
        store.append([line(root, str(number))], fence(root))
    audience.join(witness)
    store.append([line(root, "last")], fence(root))
    slow.go_on.set()
    audience.close()
    every = [event for _, event in inner.events()]
    assert slow.events == [event for event in every if event in slow.events]
    assert witness.events == every[-1:]
    missed = len(every) - len(slow.events)
    assert missed > 0
    assert f"observer 'Slow' of {__name__} missed {missed} facts" in caplog.text


def test_one_that_never_ends_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    slow, audience = Slow(), ObserverGroup(grace=0.01)
    audience.join(slow)
    begin(ObservedRuns(MemoryRuns(), audience))
    audience.close()
    slow.go_on.set()
    assert "did not finish in time" in caplog.text


class Faulty(MemoryRuns):
    """Keeps a batch, and says that it could not."""

    fails = True

    def append(self, events: Sequence[Event], fence: Any) -> None:
        super().append(events, fence)
        if self.fails:
            raise OSError("the answer was lost")


def test_a_batch_that_is_sent_again_is_told_once() -> None:
    inner, witness, audience = Faulty(), Witness(), ObserverGroup()
    store = ObservedRuns(inner, audience)
    audience.join(witness)
    root = begin(store)
    batch = [make_birth_event(child_run(root)), line(root)]
    with pytest.raises(OSError, match="lost"):
        store.append(batch, fence(root))
    inner.fails = False
    store.append(batch, fence(root))
    store.append(batch, fence(root))
    audience.close()
    assert [event.id for event in witness.events] == [event.id for _, event in inner.events()]


def test_what_the_store_ends_is_told_too() -> None:
    clock, witness, audience = StoreClock(), Witness(), ObserverGroup()
    inner = MemoryRuns(clock.time)
    store = ObservedRuns(inner, audience)
    audience.join(witness)
    for kind in (FAILED, COMPLETED):
        root = begin(store)
        done, _ = life(child_run(root), COMPLETED)
        store.append([*done, make_birth_event(child_run(root))], fence(root))
        store.record(step(root, kind)[0])
    dead = begin(store)
    store.append([make_birth_event(child_run(dead))], fence(dead))
    clock.advance(9e9)
    store.reap()
    audience.close()
    kinds = [event.kind for event in witness.events]
    assert kinds.count("TaskRunCancelled") == 1
    assert kinds[-2:] == ["FlowRunCrashed", "TaskRunCrashed"]


def test_a_forked_child_tells_its_own_and_not_the_parents(tmp_path: Any) -> None:
    told = tmp_path / "told"

    class Writes(Witness):
        def observe(self, events: Sequence[Event]) -> None:
            with told.open("a") as file:
                file.writelines(f"{os.getpid()} {event.id}\n" for event in events)

    audience = ObserverGroup()
    store = ObservedRuns(MemoryRuns(), audience)
    audience.join(Writes())
    begin(store, "parent")

    def tells() -> None:
        begin(store, "child")
        audience.close()

    child = _forked(tells)
    audience.close()
    pids = [int(text.split()[0]) for text in told.read_text().splitlines()]
    assert sorted(pids) == sorted([os.getpid(), child])


def _forked(body: Any) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        child = os.fork()
    if not child:
        try:
            body()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return child


def test_without_a_thread_left_closing_tells_what_waits() -> None:
    witness = Witness()

    class NoThreads(Feed):
        def start(self) -> None:
            pass

    feed = NoThreads("x", "y", lambda: witness)
    root = child_run(begin(MemoryRuns()))
    feed.tell([make_birth_event(root)])
    feed.close(1)
    assert (len(witness.events), witness.closed) == (1, 1)
