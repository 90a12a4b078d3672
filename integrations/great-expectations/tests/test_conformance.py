"""The standard tests, on the tasks and the block of this package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations import expectations as gxe

from flowstone_great_expectations import ExpectationSuiteBlock
from flowstone_testing import BlockSuite, Example, PluginSuite, TaskSuite

WRITTEN = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}]


class TestPlugin(PluginSuite):
    plugin = "great-expectations"
    package = "flowstone_great_expectations"
    sdks = ("great_expectations", "pandas", "polars", "pyarrow", "sqlalchemy")


def test_nothing_is_loaded_before_the_first_validation() -> None:
    """Importing the tasks does not slow down scripts, or change their warnings."""
    code = """
import sys, warnings
before = warnings.showwarning
from flowstone_great_expectations import *
slow = {"great_expectations", "pandas", "polars", "pyarrow", "numpy", "sqlalchemy"}
assert not slow & set(sys.modules), slow & set(sys.modules)
import pandas
wanted = [{"type": "expect_column_to_exist", "kwargs": {"column": "id"}}]
assert validate(pandas.DataFrame({"id": [1]}), wanted, name="x").success
assert "great_expectations" in sys.modules
assert warnings.showwarning is before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class TestExpectationSuiteBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[ExpectationSuiteBlock]:
        return [
            ExpectationSuiteBlock(expectations=WRITTEN),
            ExpectationSuiteBlock(
                expectations=[
                    {
                        "type": "expect_column_values_to_be_between",
                        "kwargs": {"column": "price", "min_value": {"$PARAMETER": "least"}},
                        "severity": "warning",
                        "notes": "Refunds are elsewhere.",
                    }
                ],
                suite_parameters={"least": 0},
            ),
        ]


class TestTasks(TaskSuite):
    plugin = "great-expectations"

    @pytest.fixture
    def examples(self, tmp_path: Path) -> Mapping[str, Example]:
        orders = pd.DataFrame({"id": [1, 2, 3]})
        project = tmp_path / "project"
        context = gx.get_context(mode="file", project_root_dir=project)
        asset = context.data_sources.add_pandas("orders").add_dataframe_asset("orders")
        suite = gx.ExpectationSuite(
            name="orders", expectations=[gxe.ExpectColumnValuesToNotBeNull(column="id")]
        )
        validation = gx.ValidationDefinition(
            name="orders",
            data=asset.add_batch_definition_whole_dataframe("all"),
            suite=context.suites.add(suite),
        )
        daily = gx.Checkpoint(
            name="daily", validation_definitions=[context.validation_definitions.add(validation)]
        )
        context.checkpoints.add(daily)
        return {
            "gx_validate": lambda: {"data": orders, "expectations": WRITTEN, "name": "orders"},
            "gx_run_checkpoint": lambda: {
                "checkpoint": "daily",
                "context": project,
                "batch_parameters": {"dataframe": orders},
            },
        }
