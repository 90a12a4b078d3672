"""Options of every test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live",
        action="store_true",
        help="run the integrations' tests on real accounts; their READMEs say what they need",
    )
    parser.addoption(
        "--soak",
        action="store_true",
        help="run the long forms: 1 GB objects, 10,000 keys one by one",
    )
