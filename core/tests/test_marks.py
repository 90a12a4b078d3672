from __future__ import annotations

from typing import Any

import pytest

from flowstone import allow_failure, flow, quote, task, unmapped

pytestmark = pytest.mark.usefixtures("flowstone_services")


@task
def pair(a: Any, b: Any) -> tuple[Any, Any]:
    return a, b


def test_a_function_gets_bare_values_though_there_is_no_future() -> None:
    @flow
    def marked() -> list[Any]:
        return [pair(quote([1]), allow_failure(2)), *pair.map([3, 4], unmapped([5])).result()]

    assert marked() == [([1], 2), (3, [5]), (4, [5])]
