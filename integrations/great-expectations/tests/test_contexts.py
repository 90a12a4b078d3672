"""The current context of the process: restored after any validation; and many at once."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import great_expectations as gx
import pandas as pd
import pytest
from great_expectations import expectations as gxe

from flowstone import flow, task
from flowstone.blocks import SqliteDatabase
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from flowstone_great_expectations import (
    CheckpointFailed,
    DatabaseSource,
    DataQualityFailed,
    ExpectationsNotEvaluated,
    ValidationInvalid,
    agx_run_checkpoint,
    gx_run_checkpoint,
    gx_validate,
    validate,
)
from flowstone_great_expectations.projects import find_current, make_current, open_context

from .conftest import list_tasks, run_in_flow

if TYPE_CHECKING:
    from pathlib import Path

    from great_expectations.checkpoint import ValidationAction
    from great_expectations.data_context import AbstractDataContext
    from great_expectations.expectations.expectation import Expectation

    Expected = list[Expectation]


def use_own(folder: Path) -> AbstractDataContext:
    return gx.get_context(mode="ephemeral")


def use_file(folder: Path) -> AbstractDataContext:
    return gx.get_context(mode="file", project_root_dir=folder / "project")


def use_none(_: Path) -> None:
    return None


@pytest.mark.parametrize("use", [use_none, use_own, use_file])
def test_the_current_context_is_as_before(
    orders: pd.DataFrame, expected: Expected, use: Any, tmp_path: Path
) -> None:
    before = use(tmp_path)
    validate(orders, expected, name="orders", on_failure="warn")
    assert find_current() is before
    with pytest.raises(DataQualityFailed):
        validate(orders, expected, name="orders")
    assert find_current() is before
    with pytest.raises(ExpectationsNotEvaluated):
        validate(orders, [gxe.ExpectColumnValuesToBeUnique(column="nothing")], name="orders")
    assert find_current() is before
    with pytest.raises(ValidationInvalid):
        validate(orders, [3], name="orders")
    assert find_current() is before


def test_a_context_is_not_replaced_while_it_is_used(
    orders: pd.DataFrame, expected: Expected, tmp_path: Path
) -> None:
    """Another thread of the caller continues with its own."""
    context = use_own(tmp_path)
    seen = set()

    class ExpectToLook(gxe.ExpectColumnValuesToBeUnique):
        def _validate(self, *args: Any, **kwargs: Any) -> Any:
            seen.add(find_current())
            return super()._validate(*args, **kwargs)

    validate(orders, [ExpectToLook(column="id")], name="orders")
    assert seen == {context}


def test_many_at_once(request: pytest.FixtureRequest, orders: pd.DataFrame) -> None:
    """Ten in parallel, ten times; each with its own expectations and bad rows.

    See great-expectations issue 12209, and issue 138 of airflow-provider-great-expectations.
    """
    repeats = 100 if request.config.getoption("--soak", default=False) else 10

    def check(at: int) -> tuple[Any, ...]:
        frame = orders.assign(price=[float(row - at) for row in range(10)])
        wanted = [
            gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0),
            gxe.ExpectColumnMaxToBeBetween(column="price", max_value=9 - at),
        ]
        report = validate(frame, wanted, name=f"orders {at}", on_failure="warn")
        return tuple(each.unexpected_rows for each in report.outcomes), report.success

    with ThreadPoolExecutor(10) as threads:
        found = list(threads.map(check, [*range(10)] * repeats))
    wanted = [((tuple(range(at)), ()), at == 0) for at in range(10)] * repeats
    assert found == wanted
    assert find_current() is None


def test_many_tables_at_once(tmp_path: Path) -> None:
    database = SqliteDatabase(path=str(tmp_path / "shop.db"))
    for at in range(10):
        database.insert(f"t{at}", [{"price": row - at} for row in range(10)], create=True)

    def check(at: int) -> int | None:
        wanted = [gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0)]
        source = DatabaseSource(database, f"t{at}")
        report = validate(source, wanted, name=f"table {at}", on_failure="warn")
        return report.outcomes[0].unexpected_count

    before = dict(os.environ)
    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(check, [*range(10)] * 3)) == [*range(10)] * 3
    assert dict(os.environ) == before


@task
def check_price(least: int) -> int:
    frame = pd.DataFrame({"price": range(10)})
    wanted = [gxe.ExpectColumnValuesToBeBetween(column="price", min_value=least)]
    report = validate(frame, wanted, name="prices", on_failure="warn")
    return int(report.statistics["rows_failed"] or 0)


def test_a_mapped_task_in_threads() -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=10))
    def main() -> list[int]:
        return check_price.map(range(10)).result()

    assert main() == list(range(10))


@pytest.mark.slow
def test_a_mapped_task_in_processes(orders: pd.DataFrame, expected: Expected) -> None:
    """Frames, expectations and reports can be sent to another process."""

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def main() -> list[int]:
        reports = [
            gx_validate.submit(orders, expected, name=f"orders {at}", on_failure="warn")
            for at in range(3)
        ]
        return [len(each.result().failed) for each in reports]

    assert main() == [2, 2, 2]


# -- contexts of the caller ----------------------------------------------------------------------


def make_project(context: Any, orders: pd.DataFrame) -> str:
    """Add a checkpoint for orders to a context, which builds Data Docs."""
    asset = context.data_sources.add_pandas("orders").add_dataframe_asset("orders")
    batch = asset.add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name="orders"))
    suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0))
    validation = context.validation_definitions.add(
        gx.ValidationDefinition(name="orders", data=batch, suite=suite)
    )
    actions: list[ValidationAction] = [gx.checkpoint.UpdateDataDocsAction(name="docs")]
    context.checkpoints.add(
        gx.Checkpoint(name="daily", validation_definitions=[validation], actions=actions)
    )
    return "daily"


@pytest.fixture
def project(tmp_path: Path, orders: pd.DataFrame) -> Path:
    """A project on disk, which is not the current context."""
    folder = tmp_path / "project"
    make_project(gx.get_context(mode="file", project_root_dir=folder), orders)
    gx.data_context.data_context.context_factory.set_context(None)
    return folder


def test_a_suite_of_a_context(orders: pd.DataFrame, project: Path) -> None:
    report = validate(orders, "orders", name="orders", context=project, on_failure="warn")
    assert [each.unexpected_rows for each in report.failed] == [(3, 7)]
    assert find_current() is None
    with pytest.raises(ValidationInvalid, match="no suite of that name; it has: 'orders'"):
        validate(orders, "other", name="orders", context=project)
    assert find_current() is None


def test_a_checkpoint_with_actions(orders: pd.DataFrame, project: Path) -> None:
    frames = {"dataframe": orders}
    root = run_in_flow(lambda: gx_run_checkpoint("daily", project, batch_parameters=frames))
    assert [run.state.name for run in list_tasks(root)] == ["DataQualityFailed"]
    assert list(project.rglob("data_docs/**/validations/**/*.html"))
    assert find_current() is None
    report = gx_run_checkpoint.fn("daily", project, batch_parameters=frames, on_failure="warn")
    (failed,) = report.failed
    assert (report.name, failed.column, failed.unexpected_count) == ("daily", "price", 2)
    assert (report.data, failed.unexpected_values) == (None, ())
    good = {"dataframe": orders.assign(price=1.0)}
    assert gx_run_checkpoint.fn("daily", project, batch_parameters=good).success


def test_a_checkpoint_in_an_async_flow(orders: pd.DataFrame, project: Path) -> None:
    @flow
    async def main() -> int:
        frames = {"dataframe": orders}
        report = await agx_run_checkpoint(
            "daily", project, batch_parameters=frames, on_failure="warn"
        )
        return len(report.failed)

    assert asyncio.run(main()) == 1


def test_a_checkpoint_of_a_context_that_is_not_current(
    orders: pd.DataFrame, tmp_path: Path
) -> None:
    context = use_own(tmp_path)
    name = make_project(context, orders)
    checkpoint = context.checkpoints.get(name)
    current = use_own(tmp_path)
    frames = {"dataframe": orders}
    for each in (name, checkpoint):
        report = gx_run_checkpoint.fn(each, context, batch_parameters=frames, on_failure="warn")
        assert len(report.failed) == 1
        assert find_current() is current


def test_checkpoints_and_validations_at_once(
    orders: pd.DataFrame, expected: Expected, project: Path
) -> None:
    def work(at: int) -> int:
        if at % 2:
            report = validate(orders, expected, name="orders", on_failure="warn")
            return len(report.failed)
        frames = {"dataframe": orders}
        report = gx_run_checkpoint.fn("daily", project, batch_parameters=frames, on_failure="warn")
        return len(report.failed)

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(work, range(12))) == [1, 2] * 6
    assert find_current() is None


def test_a_validation_outlasts_a_checkpoint(orders: pd.DataFrame, project: Path) -> None:
    """It started while the checkpoint's context was the current one, which is then replaced."""
    begun, gone = Event(), Event()
    seen: list[object] = []

    class ExpectToOutlast(gxe.ExpectColumnValuesToBeUnique):
        def _validate(self, *args: Any, **kwargs: Any) -> Any:
            begun.set()
            assert gone.wait(120)
            seen.append(find_current())
            return super()._validate(*args, **kwargs)

    context = open_context(project)
    with ThreadPoolExecutor(1) as threads:
        with make_current(context):
            validating = threads.submit(
                validate, orders, [ExpectToOutlast(column="id")], name="orders"
            )
            assert begun.wait(120)
        gone.set()
        assert validating.result().success
    assert seen not in ([None], [context])
    assert find_current() is None


def test_a_checkpoint_of_several_validations(orders: pd.DataFrame, tmp_path: Path) -> None:
    context = use_own(tmp_path)
    make_project(context, orders)
    assets = context.data_sources.add_pandas("more")
    batch = assets.add_dataframe_asset("more").add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(
        name="more", expectations=[gxe.ExpectColumnValuesToNotBeNull(column="customer")]
    )
    more = context.validation_definitions.add(
        gx.ValidationDefinition(name="more", data=batch, suite=context.suites.add(suite))
    )
    both = [context.validation_definitions.get("orders"), more]
    context.checkpoints.add(gx.Checkpoint(name="both", validation_definitions=both))
    report = gx_run_checkpoint.fn(
        "both", context, batch_parameters={"dataframe": orders}, on_failure="warn"
    )
    assert [each.validation for each in report.failed] == ["orders", "more"]
    assert report.failed[1].label == "more: expect_column_values_to_not_be_null(column='customer')"


def test_what_is_no_checkpoint(project: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointFailed, match="it is not in the context, which has: 'daily'"):
        gx_run_checkpoint.fn("weekly", project)
    with pytest.raises(CheckpointFailed, match="it could not be run"):
        gx_run_checkpoint.fn("daily", project)  # without a frame
    with pytest.raises(ValidationInvalid, match="there is no Great Expectations project"):
        gx_run_checkpoint.fn("daily", tmp_path)
    assert not list(tmp_path.glob("gx"))
    with pytest.raises(ValidationInvalid, match="it does not return rows"):
        gx_run_checkpoint.fn("daily", project, on_failure="quarantine")  # type: ignore[arg-type]
    assert find_current() is None
