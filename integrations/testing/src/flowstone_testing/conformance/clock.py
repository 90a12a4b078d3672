"""The clock of a store that a suite is about: the suite moves it."""

from __future__ import annotations

import pytest

from flowstone_testing.conformance.suite import Suite


class StoreClock:
    """A clock that stands still until it is moved.

    Attributes:
        now: seconds since the epoch; far from those of the samples, as a store must bear that.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def time(self) -> float:
        """Return the seconds since the epoch; what a store is given as its clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class ClockedSuite(Suite):
    """A suite whose fixture `store` has to go by the fixture `clock`."""

    @pytest.fixture
    def clock(self) -> StoreClock:
        """Return the clock of the store."""
        return StoreClock()
