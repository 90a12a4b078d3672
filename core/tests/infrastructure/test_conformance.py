from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.infrastructure import ProcessInfrastructure
from flowstone_testing import InfrastructureSuite
from flowstone_testing.groups import is_group_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.infrastructure import Infrastructure


class TestProcess(InfrastructureSuite):
    @pytest.fixture
    def infrastructure(self) -> Infrastructure:
        return ProcessInfrastructure()

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        return is_group_alive
