"""What every `RunStore` does."""

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
    """Join by a subclass with the fixture `store`: one that is empty, fresh, and closed after.

    The store has to use the fixture `clock`.
    """
