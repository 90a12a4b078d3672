from __future__ import annotations

import pytest

#: So many seeds make one test.
CHUNK = 250
SEEDS, SOAKED = 1000, 10_000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        option = metafunc.config.getoption
        count = option("--seeds") or (SOAKED if option("--soak") else SEEDS)
        if option("--seed") is not None:
            chunks = [range(option("--seed"), option("--seed") + 1)]
        else:
            chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
        metafunc.parametrize("seeds", chunks, ids=[f"{c[0]}-{c[-1]}" for c in chunks])


@pytest.fixture
def without(request: pytest.FixtureRequest) -> frozenset[int]:
    text: str = request.config.getoption("--without")
    return frozenset(int(number) for number in text.split(",") if number)
