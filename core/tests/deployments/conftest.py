from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flowstone.bootstrap import open_services
from flowstone.context.current import Services, use_services
from flowstone.settings import Settings
from flowstone_testing.conformance.clock import SteppedClock
from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stepped(services: Services) -> Iterator[SteppedClock]:
    """Give the clock by which schedules go, over services in memory."""
    clock = SteppedClock(1_780_000_000.0)
    with use_services(replace(services, clock=clock)):
        yield clock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, os.environ)


@pytest.fixture
def kept(home: Home) -> Iterator[Services]:
    """Give services on a store that other processes have as well."""
    with use_services(open_services(Settings(home=home.path))) as current:
        try:
            yield current
        finally:
            current.close()


@pytest.fixture
def kept_clock(kept: Services) -> Iterator[SteppedClock]:
    """Give the clock by which schedules go in this process."""
    clock = SteppedClock(1_780_000_000.0)
    with use_services(replace(kept, clock=clock)):
        yield clock
