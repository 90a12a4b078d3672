"""Good and bad data: states, policies, severity, reports, artifacts."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
from threading import Event
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from great_expectations import expectations as gxe
from great_expectations.expectations.metadata_types import FailureSeverity

from flowstone import Task, flow, task
from flowstone.cache_policies import INPUTS
from flowstone.records.events import ARTIFACT_SAVED, LOG_WRITTEN, MEASURED
from flowstone_great_expectations import (
    DataQualityFailed,
    ExpectationsNotEvaluated,
    ValidationInvalid,
    ValidationOptions,
    ValidationReport,
    agx_validate,
    avalidate,
    gx_validate,
    validate,
)

from .conftest import list_facts, list_tasks, run_in_flow

if TYPE_CHECKING:
    from pathlib import Path

    from great_expectations.expectations.expectation import Expectation

    from flowstone.blocks import LocalDirectory

    Expected = list[Expectation]

GOOD = [gxe.ExpectColumnValuesToBeUnique(column="id")]
PRICE = "expect_column_values_to_be_between(column='price', min_value=0.0)"
CUSTOMER = "expect_column_values_to_not_be_null(column='customer')"


def read_rows(store: LocalDirectory) -> list[dict[str, Any]]:
    """Return all quarantined rows of a store."""
    return [
        row
        for each in store.list_objects(pattern="**/*.parquet")
        for row in pq.read_table(store.download_object_to_path(each.path)).to_pylist()
    ]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# -- states --------------------------------------------------------------------------------------


def test_good_data_passes(orders: pd.DataFrame) -> None:
    report = validate(orders, GOOD, name="orders")
    assert (report.success, report.failed, report.errors) == (True, (), ())
    assert report.data is orders
    assert report.statistics == {
        "evaluated_expectations": 1,
        "successful_expectations": 1,
        "unsuccessful_expectations": 0,
        "success_percent": 100,
        "rows": 10,
        "rows_failed": 0,
    }


@pytest.mark.parametrize("fn", [gx_validate, validate])
def test_bad_data_has_a_state_of_its_own(orders: pd.DataFrame, expected: Expected, fn: Any) -> None:
    root = run_in_flow(lambda: fn(orders, expected, name="orders"))
    runs = [root, *list_tasks(root)]
    assert len(runs) == (2 if isinstance(fn, Task) else 1)
    for run in runs:
        assert (run.state.type, run.state.name) == ("FAILED", "DataQualityFailed")
        assert str(run.state.message).startswith("'orders' failed 2 expectations: ")


def test_a_flow_tells_bad_data_from_an_error(orders: pd.DataFrame, expected: Expected) -> None:
    caught: list[list[str | None]] = []

    def work() -> None:
        for each in (expected, [gxe.ExpectColumnValuesToBeUnique(column="nothing")]):
            try:
                gx_validate(orders, each, name="orders")
            except DataQualityFailed as error:
                caught.append([each.label for each in error.report.failed])
            except ExpectationsNotEvaluated as error:
                caught.append([each.error for each in error.report.errors])

    root = run_in_flow(work)
    assert caught == [[CUSTOMER, PRICE], ["there is no column 'nothing'"]]
    assert [run.state.name for run in list_tasks(root)] == ["DataQualityFailed", "Failed"]


@pytest.mark.parametrize("on_failure", ["fail", "warn", "quarantine"])
def test_what_can_not_be_evaluated_is_an_error(
    orders: pd.DataFrame, expected: Expected, on_failure: Any, store: LocalDirectory
) -> None:
    """Great Expectations itself does not raise."""
    wanted = [
        *expected,
        gxe.ExpectColumnMaxToBeBetween(
            column="customer", max_value=3, severity=FailureSeverity.INFO
        ),
    ]
    quarantine = store if on_failure == "quarantine" else None
    with pytest.raises(ExpectationsNotEvaluated) as caught:
        validate(orders, wanted, name="orders", on_failure=on_failure, quarantine=quarantine)
    (error,) = caught.value.report.errors
    assert error.expectation == "expect_column_max_to_be_between"
    assert not error.success
    assert "In addition, the data failed 2 expectations." in str(caught.value)
    assert not list(store.list_objects())


def test_errors_travel_between_processes(orders: pd.DataFrame, expected: Expected) -> None:
    with pytest.raises(DataQualityFailed) as caught:
        validate(orders, expected, name="orders")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.report) == (str(caught.value), caught.value.report)
    assert again.report.data is None


# -- policies ------------------------------------------------------------------------------------


def test_bad_data_goes_on_with_a_warning(orders: pd.DataFrame, expected: Expected) -> None:
    reports: list[ValidationReport] = []
    root = run_in_flow(
        lambda: reports.append(gx_validate(orders, expected, name="orders", on_failure="warn"))
    )
    assert root.state.name == "Completed"
    assert reports[0].data is orders
    assert (reports[0].success, reports[0].max_severity) == (False, "critical")
    logged = [line.message for line in list_facts(root, LOG_WRITTEN)]
    assert f"orders: {PRICE} failed (critical): 2 of 10 rows" in logged


def test_each_failing_row_is_quarantined_once(
    orders: pd.DataFrame, expected: Expected, store: LocalDirectory
) -> None:
    report = validate(
        orders, expected, name="Orders of today", on_failure="quarantine", quarantine=store
    )
    assert not report.success
    assert list(report.data["id"]) == [0, 1, 2, 4, 5, 6, 8, 9]
    assert report.data.dtypes.equals(orders.dtypes)
    assert report.quarantined is not None
    assert report.quarantined.count == report.statistics["rows_failed"] == 2
    assert report.quarantined.path.startswith("orders-of-today/no-run/")
    assert report.quarantined.uri == store.uri(report.quarantined.path)
    assert read_rows(store) == [
        {"id": 3, "customer": None, "price": -4.0, "failed_expectations": [CUSTOMER, PRICE]},
        {"id": 7, "customer": "gus", "price": -8.0, "failed_expectations": [PRICE]},
    ]


def test_a_table_that_fails_as_a_whole_fails_the_batch(
    orders: pd.DataFrame, expected: Expected, store: LocalDirectory
) -> None:
    wanted = [*expected, gxe.ExpectTableRowCountToEqual(value=11)]
    with pytest.raises(DataQualityFailed, match="about the data as a whole") as caught:
        validate(orders, wanted, name="orders", on_failure="quarantine", quarantine=store)
    assert len(caught.value.report.failed) == 3
    assert not list(store.list_objects())


def test_nothing_is_quarantined_of_good_data(orders: pd.DataFrame, store: LocalDirectory) -> None:
    report = validate(orders, GOOD, name="orders", on_failure="quarantine", quarantine=store)
    assert (report.success, report.quarantined) == (True, None)
    assert report.data is orders
    assert not list(store.list_objects())


def test_a_retry_does_not_quarantine_twice(
    orders: pd.DataFrame, expected: Expected, store: LocalDirectory
) -> None:
    """Not after a retry of the task or the flow; batches of a mapped task have separate files."""
    attempts = []

    @task(retries=1)
    def check(batch: pd.DataFrame) -> None:
        validate(batch, expected, name="orders", on_failure="quarantine", quarantine=store)
        attempts.append(1)
        if len(attempts) % 2:
            raise ValueError("try again")

    other = orders.assign(id=orders["id"] + 100)

    @flow(retries=1)
    def main() -> None:
        check(orders)
        check(other)
        if len(attempts) < 8:
            raise ValueError("try again")

    main()
    assert len(attempts) == 8
    assert len(list(store.list_objects(pattern="**/*.parquet"))) == 2
    assert sorted(row["id"] for row in read_rows(store)) == [3, 7, 103, 107]


# -- severity and mostly -------------------------------------------------------------------------


def test_what_is_only_a_warning_lets_data_pass(orders: pd.DataFrame, store: LocalDirectory) -> None:
    wanted = [
        gxe.ExpectColumnValuesToBeBetween(
            column="price", min_value=0, severity=FailureSeverity.WARNING
        ),
        gxe.ExpectColumnValuesToNotBeNull(column="customer", severity=FailureSeverity.INFO),
    ]
    report = validate(orders, wanted, name="orders")
    assert report.success
    assert [each.severity for each in report.failed] == ["warning", "info"]
    assert report.max_severity == "warning"
    report = validate(orders, wanted, name="orders", on_failure="quarantine", quarantine=store)
    assert report.data is orders


def test_mostly_decides_about_rows(orders: pd.DataFrame, store: LocalDirectory) -> None:
    for mostly, success in ((0.8, True), (0.81, False)):
        wanted = [gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0, mostly=mostly)]
        report = validate(orders, wanted, name="orders", on_failure="quarantine", quarantine=store)
        assert report.success is success
        assert len(report.data) == (10 if success else 8)


# Newer versions have another way, which the oldest lacks.
@pytest.mark.filterwarnings("ignore:.*is deprecated as of GX Core 1.9:DeprecationWarning")
def test_rows_outside_of_a_condition_pass(orders: pd.DataFrame, store: LocalDirectory) -> None:
    wanted = [
        gxe.ExpectColumnValuesToBeBetween(
            column="price", min_value=0, row_condition="id > 5", condition_parser="pandas"
        )
    ]
    report = validate(orders, wanted, name="orders", on_failure="quarantine", quarantine=store)
    assert [row["id"] for row in read_rows(store)] == [7]
    assert len(report.data) == 9


# -- results -------------------------------------------------------------------------------------


def test_a_second_run_is_served_from_the_cache(orders: pd.DataFrame) -> None:
    """Frames, expectations and reports can be stored and cached."""
    calls = []

    class ExpectToCount(gxe.ExpectColumnValuesToBeUnique):
        def _validate(self, *args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            return super()._validate(*args, **kwargs)

    kept = gx_validate.with_options(persist_result=True, cache_policy=INPUTS)

    @flow
    def main() -> ValidationReport:
        wanted = [{"type": "expect_to_count", "kwargs": {"column": "id"}}]
        return kept(orders.copy(), wanted, name="orders")

    first, second = main(), main()
    assert first == second
    assert second.data.equals(orders)
    assert len(calls) == 1


# -- reports -------------------------------------------------------------------------------------


@pytest.fixture
def people() -> pd.DataFrame:
    names = ["canary-of-ann", "canary-of-ann", "canary-of-cy", None]
    return pd.DataFrame(
        {"name": names, "pay": [7_654_321, 7_654_322, 1, 2], "paid": [7_654_321, 0, 0, 0]}
    )


WIDE: list[Expectation] = [
    gxe.ExpectColumnValuesToBeUnique(column="name"),
    gxe.ExpectColumnValuesToBeInSet(column="name", value_set=["ann"]),
    gxe.ExpectColumnDistinctValuesToBeInSet(column="name", value_set=["ann"]),
    gxe.ExpectColumnMostCommonValueToBeInSet(column="name", value_set=["ann"]),
    gxe.ExpectColumnMaxToBeBetween(column="pay", max_value=5),
    gxe.ExpectColumnSumToBeBetween(column="pay", max_value=5),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(column_A="pay", column_B="pay"),
    gxe.ExpectSelectColumnValuesToBeUniqueWithinRecord(column_list=["pay", "paid"]),
]


def test_no_value_of_a_row_is_in_what_is_kept(people: pd.DataFrame, store: LocalDirectory) -> None:
    """They may be personal data."""
    texts: list[str] = []

    def work() -> None:
        wanted = [*WIDE, gxe.ExpectColumnMeanToBeBetween(column="name", max_value=5)]
        for each in (WIDE, wanted):
            options = ValidationOptions(docs=store)
            try:
                report = gx_validate(people, each, name="p", on_failure="warn", options=options)
            except ExpectationsNotEvaluated as error:
                report = error.report
                texts.append(str(error))
            texts.extend([repr(report), json.dumps(report.to_dict())])

    root = run_in_flow(work)
    texts += map(repr, list_facts(root, ARTIFACT_SAVED, LOG_WRITTEN, MEASURED))
    texts += [store.read_path(each.path).decode() for each in store.list_objects()]
    told = "\n".join(texts)
    assert "expect_column_max_to_be_between" in told
    assert "could not be evaluated" in told
    assert [word for word in ("canary", "7654", "7,654", "15308") if word in told] == []


def test_values_are_there_on_request(people: pd.DataFrame) -> None:
    options = ValidationOptions(include_values=True)
    report = validate(people, WIDE, name="people", on_failure="warn", options=options)
    found = {each.expectation: each for each in report.failed}
    assert found["expect_column_values_to_be_unique"].unexpected_values == (
        "canary-of-ann",
        "canary-of-ann",
    )
    assert found["expect_column_max_to_be_between"].observed_value == 7_654_322
    json.dumps(report.to_dict())


def test_a_report_is_plain(orders: pd.DataFrame, expected: Expected) -> None:
    report = validate(orders, expected, name="orders", on_failure="warn")
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert again.data.equals(orders)
    found = json.loads(json.dumps(report.to_dict()))
    assert [each["unexpected_rows"] for each in found["outcomes"]] == [[], [3], [3, 7]]
    assert "data" not in found


def test_outcomes_are_in_the_order_of_the_expectations(orders: pd.DataFrame) -> None:
    """Great Expectations sorts them by column, with those that it can't evaluate first."""
    wanted = [
        gxe.ExpectColumnMaxToBeBetween(column="price", max_value=99),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToBeUnique(column="nothing"),
        gxe.ExpectColumnMinToBeBetween(column="price", min_value=-99),
    ]
    with pytest.raises(ExpectationsNotEvaluated) as caught:
        validate(orders, wanted, name="orders")
    columns = [each.column for each in caught.value.report.outcomes]
    assert columns == ["price", "id", "nothing", "price"]


def test_a_run_has_a_table_docs_and_measures(
    orders: pd.DataFrame, expected: Expected, store: LocalDirectory
) -> None:
    root = run_in_flow(lambda: gx_validate(orders, expected, name="Orders of today"))
    (table, docs) = list_facts(root, ARTIFACT_SAVED)
    assert (table.kind, table.key) == ("table", "gx-orders-of-today")
    assert table.description == "Orders of today: 1 of 3 expectations met"
    assert table.data[2] == {
        "expectation": PRICE,
        "severity": "critical",
        "result": "failed",
        "rows": 10,
        "failed": 2,
        "percent": 20.0,
        "detail": "2 of 10 rows",
    }
    assert (docs.kind, docs.key) == ("markdown", "gx-orders-of-today-docs")
    assert f"**Failed** (critical) `{PRICE}`: 2 of 10 rows" in docs.data
    (measures,) = list_facts(root, MEASURED)
    assert dict(measures.values) == {
        "rows_evaluated": 10,
        "rows_failed": 2,
        "rows_quarantined": 0,
        "expectations_evaluated": 3,
        "expectations_failed": 2,
    }
    options = ValidationOptions(create_artifacts=False)
    root = run_in_flow(lambda: validate(orders, GOOD, name="orders", options=options))
    assert list_facts(root, ARTIFACT_SAVED) == []


def test_docs_are_a_page_in_a_store(
    orders: pd.DataFrame, expected: Expected, store: LocalDirectory
) -> None:
    options = ValidationOptions(docs=store)
    root = run_in_flow(
        lambda: validate(orders, expected, name="orders", on_failure="warn", options=options)
    )
    (_, link) = list_facts(root, ARTIFACT_SAVED)
    (page,) = store.list_objects()
    assert page.path == f"orders/{root.id}.html"
    assert link.data == {"link": store.uri(page.path), "text": "Data Docs of orders"}


# -- asyncio, environment ------------------------------------------------------------------------


def test_the_loop_goes_on_meanwhile(orders: pd.DataFrame) -> None:
    """The validation waits for something that the loop does."""

    async def main() -> ValidationReport:
        loop, gone_on = asyncio.get_running_loop(), Event()

        class ExpectTheLoopToGoOn(gxe.ExpectColumnValuesToBeUnique):
            def _validate(self, *args: Any, **kwargs: Any) -> Any:
                loop.call_soon_threadsafe(gone_on.set)
                assert gone_on.wait(120)
                return super()._validate(*args, **kwargs)

        return await avalidate(orders, [ExpectTheLoopToGoOn(column="id")], name="orders")

    assert asyncio.run(main()).success


def test_an_async_flow(orders: pd.DataFrame, expected: Expected) -> None:
    @flow
    async def main() -> int:
        report = await agx_validate(orders, expected, name="orders", on_failure="warn")
        return len(report.failed)

    assert asyncio.run(main()) == 2


def test_the_environment_is_as_before(orders: pd.DataFrame, expected: Expected) -> None:
    before = dict(os.environ)
    validate(orders, expected, name="orders", on_failure="warn")
    assert dict(os.environ) == before


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"on_failure": "ignore"}, "on_failure: 'ignore' is not an option"),
        ({"on_failure": "quarantine"}, "quarantine: a store for failing rows is missing"),
        ({"quarantine": True}, "quarantine: no rows are set aside with on_failure='fail'"),
        ({"key_columns": "id"}, "rows of DataFrames and files are identified by position"),
        ({"context": 3, "expectations": "suite"}, "a int is not a context"),
    ],
)
def test_options_that_do_not_fit(
    orders: pd.DataFrame, store: LocalDirectory, given: dict[str, Any], words: str
) -> None:
    if given.get("quarantine"):
        given = {**given, "quarantine": store}
    options = {"expectations": GOOD, "name": "orders", **given}
    with pytest.raises(ValidationInvalid) as caught:
        validate(orders, **options)
    assert words in str(caught.value)
