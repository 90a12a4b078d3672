from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone_testing.programs import Home, InProcess

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.context.current import Services


@pytest.fixture
def cli(flowstone_services: Services) -> InProcess:
    return InProcess()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)
