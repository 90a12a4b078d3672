from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowstone.testing import flowstone_test_harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.ambient import Services


@pytest.fixture
def services() -> Iterator[Services]:
    with flowstone_test_harness() as current:
        yield current
