"""The clock of the store under test, controlled by the suite."""

from __future__ import annotations

import pytest

from flowstone_testing.conformance.suite import Suite


class StoreClock:
    """A clock that moves only by `advance`.

    Attributes:
        now: seconds since the epoch; intentionally far from the times in the samples.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def time(self) -> float:
        """Return the seconds since the epoch; pass this method to the store as its clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds


class SteppedClock:
    """A `Clock` that is set by hand; a sleep advances it at once."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class ClockedSuite(Suite):
    """A suite whose fixture `store` must use the fixture `clock`."""

    @pytest.fixture
    def clock(self) -> StoreClock:
        """Return the clock of the store."""
        return StoreClock()
