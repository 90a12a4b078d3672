"""The suite bites: each of these broken observers fails the test that is there for it."""

from __future__ import annotations

import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.records.events import ArtifactVersion, LogLine
from flowstone.records.redaction import list_registered
from flowstone.records.runs import Run, StateChange
from flowstone_testing.conformance import ObserverSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowstone.records.events import Event


class Good:
    """Nothing is wrong with it."""

    written: list[str]

    def __init__(self) -> None:
        self._held: list[str] = []

    def observe(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event.payload, (Run, StateChange)):
                self._held.append(f"{event.kind} {event.payload.state.message}")
            elif isinstance(event.payload, LogLine):
                self._held.append(event.payload.message)

    def close(self) -> None:
        self.written += self._held
        self._held.clear()


class TakesAllForChanges(Good):
    def observe(self, events: Sequence[Event]) -> None:
        for event in events:
            self._held.append(event.payload.state.name)  # type: ignore[union-attr]


class KnowsAllKinds(Good):
    def observe(self, events: Sequence[Event]) -> None:
        for event in events:
            if not isinstance(event.payload, (Run, StateChange, LogLine, ArtifactVersion)):
                raise TypeError(event.payload)
        super().observe(events)


class ForgetsAtTheEnd(Good):
    def close(self) -> None:
        self._held.clear()


class ClosesOnce(Good):
    def close(self) -> None:
        super().close()
        del self._held


class Prints(Good):
    def observe(self, events: Sequence[Event]) -> None:
        super().observe(events)
        print(len(events), file=sys.stderr)


class BeginsAtOnce(Good):
    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._over.wait, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        super().close()


class BelongsToAThread(Good):
    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def observe(self, events: Sequence[Event]) -> None:
        if threading.get_ident() != self._thread:
            raise RuntimeError("made in another thread")
        super().observe(events)


class IsAlone(Good):
    taken: Good | None = None

    def observe(self, events: Sequence[Event]) -> None:
        if IsAlone.taken not in {None, self}:
            raise RuntimeError("somebody else writes")
        IsAlone.taken = self
        super().observe(events)

    def close(self) -> None:
        super().close()
        IsAlone.taken = None


class KnowsItsProcess(Good):
    def __init__(self) -> None:
        super().__init__()
        self._thread: threading.Thread | None = None

    def observe(self, events: Sequence[Event]) -> None:
        super().observe(events)
        if self._thread is None:
            self._over = threading.Event()
            self._thread = threading.Thread(target=self._over.wait, daemon=True)
            self._thread.start()
        if not self._thread.is_alive():
            raise RuntimeError("the sender is gone")

    def close(self) -> None:
        super().close()
        if self._thread is not None:
            self._over.set()


class Tattles(Good):
    def close(self) -> None:
        super().close()
        self.written.extend(list_registered())


MUTANTS: dict[type[Good], str] = {
    TakesAllForChanges: "test_it_takes_facts_of_every_kind",
    KnowsAllKinds: "test_it_leaves_alone_what_it_does_not_know",
    ForgetsAtTheEnd: "test_closing_sends_what_was_held_back",
    ClosesOnce: "test_closing_twice_is_fine",
    Prints: "test_it_prints_nothing",
    BeginsAtOnce: "test_making_it_starts_nothing",
    BelongsToAThread: "test_it_is_told_from_another_thread",
    IsAlone: "test_two_work_beside_each_other",
    KnowsItsProcess: "test_a_forked_child_goes_on",
    Tattles: "test_a_run_goes_through_and_its_secrets_do_not",
}
NAMES = [name for name in dir(ObserverSuite) if name.startswith("test")]


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[str, type[Good]], None]:
    def run(name: str, kind: type[Good]) -> None:
        written: list[str] = []

        def make() -> Good:
            observer = kind()
            observer.written = written
            return observer

        facts: dict[str, Any] = {"make": make, "kept": lambda: "\n".join(written)}
        facts |= {"capfd": capfd, "caplog": caplog}
        test = getattr(ObserverSuite, name)
        known = inspect.signature(test).parameters
        test(ObserverSuite(), **{key: value for key, value in facts.items() if key in known})

    return run


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_observer_is_found_out(
    mutant: type[Good], run: Callable[[str, type[Good]], None]
) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(MUTANTS[mutant], mutant)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_fails_nothing(name: str, run: Callable[[str, type[Good]], None]) -> None:
    run(name, Good)


def test_each_test_has_its_mutant() -> None:
    assert set(MUTANTS.values()) == set(NAMES)
