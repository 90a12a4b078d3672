"""On a slow machine `make check` ends in time, and says what it has left out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("until", "said"), [("1", "2 skipped"), ("99999999999", "2 passed")], ids=["late", "in time"]
)
def test_no_test_begins_after_the_deadline(until: str, said: str) -> None:
    command = "-m pytest -q -n 0 -k begins_nothing tests/architecture/test_deadline.py"
    ran = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env=os.environ | {"TESTS_UNTIL": until},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said in ran
    assert ("2 tests have not begun in time" in ran) == (until == "1")


@pytest.mark.parametrize("number", [1, 2])
def test_that_begins_nothing(number: int) -> None:
    assert number in {1, 2}
