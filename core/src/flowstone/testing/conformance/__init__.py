"""One suite for each port and interface; join by one subclass and one fixture."""

from flowstone.testing.conformance.suite import Gap, Suite

__all__ = ["Gap", "Suite"]
