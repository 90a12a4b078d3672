"""One suite for each port and interface; join by one subclass and one fixture."""

from flowstone.testing.conformance.documents import DocumentStoreSuite
from flowstone.testing.conformance.observer import ObserverSuite
from flowstone.testing.conformance.runner import RunnerSuite
from flowstone.testing.conformance.runs import RunStoreSuite
from flowstone.testing.conformance.slots import SlotStoreSuite
from flowstone.testing.conformance.suite import Gap, Suite, capability

__all__ = [
    "DocumentStoreSuite",
    "Gap",
    "ObserverSuite",
    "RunStoreSuite",
    "RunnerSuite",
    "SlotStoreSuite",
    "Suite",
    "capability",
]
