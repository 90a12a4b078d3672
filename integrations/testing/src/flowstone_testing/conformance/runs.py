"""RunStoreSuite: the standard tests of all run stores."""

from __future__ import annotations

from flowstone_testing.conformance.run_batches import BatchTests
from flowstone_testing.conformance.run_deletions import DeletionTests
from flowstone_testing.conformance.run_handovers import HandoverTests
from flowstone_testing.conformance.run_leases import LeaseTests
from flowstone_testing.conformance.run_reads import ReadTests
from flowstone_testing.conformance.run_schedules import ScheduleTests
from flowstone_testing.conformance.run_writes import WriteTests


class RunStoreSuite(
    WriteTests, BatchTests, LeaseTests, HandoverTests, ScheduleTests, ReadTests, DeletionTests
):
    """Join with a fixture `store`: empty, new for each test, and closed after it.

    The store must use the fixture `clock`.
    """
