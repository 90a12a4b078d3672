"""`validate`: evaluate expectations on data, handle failing rows, and report."""

from __future__ import annotations

import asyncio
import logging
import warnings
from dataclasses import replace
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from flowstone_great_expectations.errors import ValidationInvalid
from flowstone_great_expectations.judging import find_error, find_failing, make_report
from flowstone_great_expectations.options import ValidationOptions
from flowstone_great_expectations.recording import log_report, record_report
from flowstone_great_expectations.report import OnFailure, ValidationReport
from flowstone_great_expectations.sources import DatabaseSource, StoredFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from types import ModuleType

    from flowstone.blocks import ObjectStore
    from flowstone_great_expectations.batches import DataBatch
    from flowstone_great_expectations.results import Evaluated

P = ParamSpec("P")
R = TypeVar("R")

_POLICIES = ("fail", "warn", "quarantine")
_loading = RLock()


def validate(
    data: object,
    expectations: object,
    *,
    name: str,
    on_failure: OnFailure = "fail",
    quarantine: ObjectStore | None = None,
    key_columns: Sequence[str] | str = (),
    context: object = None,
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Validate data, and return the report with the data that passed.

    Only expectations of severity ``critical`` decide; failing ``warning`` and ``info`` ones are
    reported and logged. It can be called anywhere, also from threads; in a run, it creates a table
    and Data Docs as artifacts, and records the number of rows.

    Args:
        data: a pandas or polars DataFrame, an Arrow table, a `DatabaseSource` or `StoredFiles`.
        expectations: a list, a suite, a dict or the path of a JSON file in Great Expectations'
            format, or an `ExpectationSuiteBlock`; with `context`, also the name of a suite.
        name: the name of the validation in reports, artifacts and quarantine folders.
        on_failure: what happens to bad data: ``fail`` raises; ``warn`` logs it; ``quarantine``
            sets the failing rows aside and returns the rest, and raises if an expectation about
            the data as a whole failed.
        quarantine: the store that failing rows are written to, as Parquet.
        key_columns: the columns that identify a row of a database table.
        context: your own context, or the folder of its project.
        options: row values in the report, artifacts, suite parameters.

    Raises:
        DataQualityFailed: the data failed.
        ExpectationsNotEvaluated: an expectation could not be evaluated.
        ValidationInvalid: the data, the expectations or an option can't be used.
    """
    keys = (key_columns,) if isinstance(key_columns, str) else tuple(key_columns)
    options = options or ValidationOptions()
    _check_policy(on_failure, quarantine)
    wanted = _load_suites().read_expectations(expectations, context)
    batch = _open_batch(data, keys, sets_aside=on_failure == "quarantine")
    found = batch.evaluate(wanted, options.parameters, include_values=options.include_values)
    report = make_report(name, on_failure, batch, found)
    error = find_error(report, found)
    if error is None and quarantine is not None and not report.success:
        report = _set_aside(report, batch, find_failing(found), quarantine)
    return _finish(report, error, options)


def run_checkpoint(
    checkpoint: object,
    context: object,
    *,
    batch_parameters: Mapping[str, object],
    expectation_parameters: Mapping[str, object],
    on_failure: OnFailure,
    options: ValidationOptions,
) -> ValidationReport:
    """Run a checkpoint of the caller's own context; see `gx_run_checkpoint`."""
    if on_failure not in {"fail", "warn"}:
        problem = f"a checkpoint can't do {on_failure!r}: it does not return rows"
        raise ValidationInvalid("on_failure", problem, "Use 'fail' or 'warn'.")
    _load_suites()
    # The same.
    from flowstone_great_expectations.checkpoints import run_in_context

    name, found = run_in_context(
        checkpoint,
        context,
        batch_parameters,
        expectation_parameters,
        include_values=options.include_values,
    )
    report = make_report(name, on_failure, None, found)
    return _finish(report, find_error(report, found), options)


def _finish(
    report: ValidationReport, error: Exception | None, options: ValidationOptions
) -> ValidationReport:
    """Record a report, and return it or raise the error."""
    record_report(report, options)
    if error is not None:
        raise error
    log_report(report)
    return report


def _make_twin(fn: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(fn)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(fn, *args, **kwargs)

    run.__name__ = run.__qualname__ = f"a{fn.__name__}"
    run.__doc__ = f"Async version of `{fn.__name__}`."
    return run


avalidate = _make_twin(validate)


def _check_policy(on_failure: str, quarantine: ObjectStore | None) -> None:
    if on_failure not in _POLICIES:
        remedy = f"Use one of: {', '.join(_POLICIES)}."
        raise ValidationInvalid("on_failure", f"{on_failure!r} is not an option", remedy)
    if on_failure == "quarantine" and quarantine is None:
        remedy = "Pass an ObjectStore as `quarantine`."
        raise ValidationInvalid("quarantine", "a store for failing rows is missing", remedy)
    if on_failure != "quarantine" and quarantine is not None:
        problem = f"no rows are set aside with on_failure={on_failure!r}"
        raise ValidationInvalid("quarantine", problem, "Pass on_failure='quarantine', or no store.")


def _load_suites() -> ModuleType:
    # Its modules import each other, so two threads that import it at once could deadlock.
    with _loading:
        before = warnings.showwarning
        # Great Expectations takes 3 s to load.
        from flowstone_great_expectations import engine, suites

        if warnings.showwarning is not before:  # it sends all warnings of the process to a log
            logging.captureWarnings(False)
        assert engine is not suites
        return suites


def _open_batch(data: object, keys: Sequence[str], *, sets_aside: bool) -> DataBatch:
    # pandas and pyarrow take 0.5 s to load.
    from flowstone_great_expectations.batches import FrameBatch
    from flowstone_great_expectations.databases import open_source
    from flowstone_great_expectations.files import read_files
    from flowstone_great_expectations.frames import take_frame

    if isinstance(data, DatabaseSource):
        return open_source(data, keys, sets_aside=sets_aside)
    if keys:
        problem = (
            "it is for database tables; rows of DataFrames and files are identified by position"
        )
        raise ValidationInvalid("key_columns", problem, "Remove it.")
    return FrameBatch(take_frame(read_files(data) if isinstance(data, StoredFiles) else data))


def _set_aside(
    report: ValidationReport,
    batch: DataBatch,
    failing: Sequence[Evaluated],
    quarantine: ObjectStore,
) -> ValidationReport:
    rows = batch.split(failing)
    # pyarrow's Parquet takes 0.1 s to load.
    from flowstone_great_expectations.quarantine import write_rows

    written = write_rows(quarantine, report.name, rows.failing)
    return replace(report, data=rows.passing, quarantined=written)
