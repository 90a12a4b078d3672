from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from flowstone.context.current import use_services
from flowstone.secrets.resolver import Resolver
from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.context.current import Services
    from flowstone.ports import Clock


@pytest.fixture
def services() -> Iterator[Services]:
    with flowstone_test_harness() as current:
        yield current


class Later:
    """A clock that goes by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    monotonic = time


@pytest.fixture
def later(services: Services) -> Iterator[Later]:
    """Give the clock by which secrets that were read grow old."""
    clock = Later()
    ticking = cast("Clock", clock)
    with use_services(replace(services, clock=ticking, references=Resolver(ticking, 3600))):
        yield clock
