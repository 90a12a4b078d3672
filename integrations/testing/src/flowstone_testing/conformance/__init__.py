"""One suite for each port and interface; use it by a subclass with a fixture."""

from flowstone_testing.conformance.clock import StoreClock
from flowstone_testing.conformance.documents import DocumentStoreSuite
from flowstone_testing.conformance.observer import ObserverSuite
from flowstone_testing.conformance.runner import RunnerSuite
from flowstone_testing.conformance.runs import RunStoreSuite
from flowstone_testing.conformance.slots import SlotStoreSuite
from flowstone_testing.conformance.suite import EmulatorGap, Suite, capability, needs

__all__ = [
    "DocumentStoreSuite",
    "EmulatorGap",
    "ObserverSuite",
    "RunStoreSuite",
    "RunnerSuite",
    "SlotStoreSuite",
    "StoreClock",
    "Suite",
    "capability",
    "needs",
]
