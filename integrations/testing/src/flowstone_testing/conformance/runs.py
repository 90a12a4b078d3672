"""What every `RunStore` does."""

from __future__ import annotations

from flowstone_testing.conformance.run_batches import Batches
from flowstone_testing.conformance.run_handovers import Handovers
from flowstone_testing.conformance.run_leases import Leases
from flowstone_testing.conformance.run_reads import Reads
from flowstone_testing.conformance.run_writes import Writes


class RunStoreSuite(Writes, Batches, Leases, Handovers, Reads):
    """Join by a subclass with the fixture `store`: one that is empty, fresh, and closed after."""
