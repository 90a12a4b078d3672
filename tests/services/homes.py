"""A home on disk, for tests of what is written there or shared with other processes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from flowstone.bootstrap import open_services
from flowstone.context.current import use_services
from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with a store on disk, which the flows and blocks of a test use."""
    folder = tmp_path / "home"
    services = open_services(Settings(home=folder))
    with use_services(services), closing(services):
        yield folder
