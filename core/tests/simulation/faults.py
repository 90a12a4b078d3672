"""What goes wrong, as a seed has it: each fault has a number, and can be left out of a replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

#: What may go wrong with a call of the store: it fails before or after it has done its work, or
#: takes its time. A batch may also come twice, or in another order.
CALL = ("before", "after", "slow")
BATCH = (*CALL, "twice", "shuffled", "copied")


class Faults:
    """Draws faults; a seed has its own rates, from none at all to one in five."""

    def __init__(self, seed: int, without: frozenset[int], note: Callable[[str], None]) -> None:
        self._rng = Random(f"faults of {seed}")
        self._note = note
        self.without = without
        self.fired: list[int] = []
        self._count = 0
        self._calls = self._rng.choice((0.0, 0.02, 0.05, 0.2))
        self._crashes = self._rng.choice((0.0, 0.0, 0.002, 0.01))
        self._stops = self._rng.choice((0.0, 0.0, 0.002, 0.01))
        self._stalls = self._rng.choice((0.0, 0.002, 0.01, 0.02))

    def end(self) -> None:
        """Let nothing go wrong any more."""
        self._calls = self._crashes = self._stops = self._stalls = 0.0

    def of_call(self, kinds: Sequence[str]) -> str | None:
        """Return what goes wrong with a call, if anything."""
        if self._rng.random() >= self._calls:
            return None
        return self._numbered(self._rng.choice(kinds))

    def of_step(self) -> str | None:
        """Return what happens to a process between two steps, if anything."""
        chance = self._rng.random()
        if chance < self._crashes:
            return self._numbered("crash")
        chance -= self._crashes
        if chance < self._stalls:
            return self._numbered(self._rng.choice(("stall", "stalled thread")))
        return None

    def of_main_thread(self) -> str | None:
        """Return what a person or a machine tells a process to do, if anything."""
        if self._rng.random() >= self._stops:
            return None
        return self._numbered(self._rng.choice(("interrupt", "terminate")))

    def of_child(self) -> bool:
        """Return whether a child process dies in a call."""
        return self._rng.random() < self._calls / 2 and self._numbered("child dies") is not None

    def seconds(self) -> float:
        """Return how long something takes that takes its time."""
        return self._rng.choice((0.05, 0.5, 3.0, 10.0, 20.0))

    def order(self, count: int) -> list[int]:
        """Return another order of so many things."""
        return self._rng.sample(range(count), count)

    def chance(self, probability: float) -> bool:
        return self._rng.random() < probability

    def _numbered(self, kind: str) -> str | None:
        self._count += 1
        if self._count in self.without:
            return None
        self.fired.append(self._count)
        self._note(f"fault {self._count}: {kind}")
        return kind
