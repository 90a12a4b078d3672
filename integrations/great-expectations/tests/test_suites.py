"""Expectations in each accepted form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import great_expectations as gx
import pytest
from great_expectations import expectations as gxe
from great_expectations.expectations.metadata_types import FailureSeverity
from pydantic import ValidationError

from flowstone.errors import BlockInvalid
from flowstone_great_expectations import (
    DataQualityFailed,
    ExpectationSuiteBlock,
    ValidationInvalid,
    ValidationOptions,
    validate,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

WRITTEN: dict[str, Any] = {
    "name": "orders",
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "price", "min_value": {"$PARAMETER": "least"}},
            "severity": "warning",
            "notes": "Refunds are elsewhere.",
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}},
    ],
    "suite_parameters": {"least": 0},
}


def make_suite() -> gx.ExpectationSuite:
    return gx.ExpectationSuite(
        name="orders",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="price",
                min_value=0,
                severity=FailureSeverity.WARNING,
                notes="Refunds are elsewhere.",
            ),
            gxe.ExpectColumnValuesToNotBeNull(column="id"),
        ],
    )


def write_file(folder: Path) -> Path:
    path = folder / "orders.json"
    path.write_text(json.dumps(WRITTEN))
    return path


def save_block(_: Path) -> ExpectationSuiteBlock:
    ExpectationSuiteBlock.from_suite(WRITTEN).save("orders")
    return ExpectationSuiteBlock.load("orders")


FORMS: dict[str, Callable[[Path], object]] = {
    "list": lambda _: make_suite().expectations,
    "suite": lambda _: make_suite(),
    "dict": lambda _: WRITTEN,
    "dicts": lambda _: [
        each | {"kwargs": _fill(each["kwargs"])} for each in WRITTEN["expectations"]
    ],
    "path": write_file,
    "text": lambda folder: str(write_file(folder)),
    "block": save_block,
    "block of a suite": lambda _: ExpectationSuiteBlock.from_suite(make_suite()),
}


def _fill(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: 0 if isinstance(each, dict) else each for name, each in kwargs.items()}


@pytest.mark.parametrize("form", FORMS)
def test_each_form(orders: pd.DataFrame, tmp_path: Path, form: str) -> None:
    report = validate(orders, FORMS[form](tmp_path), name="orders")
    (failed,) = report.failed
    assert (failed.column, failed.severity, failed.unexpected_rows) == ("price", "warning", (3, 7))
    assert failed.notes == "Refunds are elsewhere."
    assert [each.column for each in report.outcomes] == ["price", "id"]


def test_one_expectation(orders: pd.DataFrame) -> None:
    assert validate(orders, gxe.ExpectColumnToExist(column="id"), name="orders").success


def test_parameters_replace_those_of_the_suite(orders: pd.DataFrame) -> None:
    options = ValidationOptions(parameters={"least": -10})
    assert not validate(orders, WRITTEN, name="orders", options=options).failed


def test_an_expectation_of_ones_own(orders: pd.DataFrame) -> None:
    class ExpectPricesToBeFair(gxe.ExpectColumnValuesToBeBetween):
        column: str = "price"
        min_value: Any = 0

    with pytest.raises(DataQualityFailed, match="expect_prices_to_be_fair"):
        validate(orders, [ExpectPricesToBeFair()], name="orders")


def test_the_same_expectation_twice(orders: pd.DataFrame) -> None:
    wanted: list[Expectation] = [gxe.ExpectColumnToExist(column="id")] * 2
    assert len(validate(orders, wanted, name="orders").outcomes) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "there are none"),
        (3, "a int has no expectations"),
        ([3], "expectation 1: a int is not an expectation"),
        ({"name": "x"}, "the suite has no 'expectations'"),
        ([{"kwargs": {}}], "expectation 1: it has no type"),
        ([{"type": "expect_nothing", "kwargs": {}}], "expect_nothing can't be created"),
        (
            [{"type": "expect_column_values_to_be_unique", "kwargs": {"col": "id"}}],
            "expect_column_values_to_be_unique can't be created",
        ),
        ("nowhere.json", "the suite 'nowhere.json': it can't be read"),
    ],
)
def test_what_is_no_suite(orders: pd.DataFrame, given: Any, words: str) -> None:
    """Great Expectations itself drops an expectation that it can't read, and the data passes."""
    with pytest.raises(ValidationInvalid) as caught:
        validate(orders, given, name="orders")
    assert words in str(caught.value)


def test_a_file_that_is_not_json(orders: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(ValidationInvalid, match="it is not JSON"):
        validate(orders, tmp_path / "s.json", name="orders")


def test_a_block_that_is_not_a_suite() -> None:
    wrong: list[list[dict[str, Any]]] = [[], [{"kwargs": {}}]]
    for given in wrong:
        with pytest.raises((BlockInvalid, ValidationError)):
            ExpectationSuiteBlock(expectations=given)
