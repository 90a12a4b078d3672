"""What the core had before it became a package's: the error names the package."""

from __future__ import annotations

import importlib

import pytest

from flowstone.errors import MissingPackage

MOVED = {
    "DuckDBDatabase": "flowstone-duckdb",
    "EmailNotifier": "flowstone-email",
    "EmailServerCredentials": "flowstone-email",
    "SlackWebhook": "flowstone-slack",
}


@pytest.mark.parametrize("name", MOVED)
def test_a_block_that_went_with_a_package_names_it(name: str) -> None:
    with pytest.raises(MissingPackage, match=f"pip install {MOVED[name]}") as caught:
        exec(f"from flowstone.blocks import {name}", {})
    assert isinstance(caught.value, ImportError)
    blocks = importlib.import_module("flowstone.blocks")
    assert name not in dir(blocks)


def test_a_name_that_no_package_has_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="NoSuchBlock"):
        importlib.import_module("flowstone.blocks").NoSuchBlock
