from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flowstone.ambient import Services, using
from flowstone.testing.memory import memory_services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with using(memory_services(tmp_path / "flowstone-home")) as current:
        yield current
