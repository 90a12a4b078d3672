from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from flowstone.context.current import use_services
from flowstone.secrets.resolver import Resolver
from flowstone.testing import flowstone_test_harness
from flowstone_testing.conformance.clock import SteppedClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.ports import Clock


@pytest.fixture
def services() -> Iterator[Services]:
    with flowstone_test_harness() as current:
        yield current


@pytest.fixture
def later(services: Services) -> Iterator[SteppedClock]:
    """Give the clock by which secrets that were read grow old."""
    clock = SteppedClock()
    ticking = cast("Clock", clock)
    with use_services(replace(services, clock=ticking, references=Resolver(ticking, 3600))):
        yield clock
