"""Prebuilt tasks: a validation as a task run, and a checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from flowstone import make_async_twin, task
from flowstone.blocks import ObjectStore
from flowstone_great_expectations.errors import (  # noqa: F401 - docstrings name them
    CheckpointFailed,
    DataQualityFailed,
    ExpectationsNotEvaluated,
    ValidationInvalid,
)
from flowstone_great_expectations.options import ValidationOptions
from flowstone_great_expectations.report import OnFailure, ValidationReport
from flowstone_great_expectations.validation import run_checkpoint, validate


@task
def gx_validate(
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

    Args:
        data: a pandas or polars DataFrame, an Arrow table, a `DatabaseSource` or `StoredFiles`.
        expectations: a list, a suite, a dict or the path of a JSON file in Great Expectations'
            format, or an `ExpectationSuiteBlock`; with `context`, also the name of a suite.
        name: the name of the validation in reports, artifacts and quarantine folders.
        on_failure: what happens to bad data: ``fail``, ``warn`` or ``quarantine``.
        quarantine: the store that failing rows are written to, as Parquet.
        key_columns: the columns that identify a row of a database table.
        context: your own context, or the folder of its project.
        options: row values in the report, artifacts, suite parameters.

    Raises:
        DataQualityFailed: the data failed; the run's state has that name.
        ExpectationsNotEvaluated: an expectation could not be evaluated.
        ValidationInvalid: the data, the expectations or an option can't be used.

    Example:
        gx_validate(data, expectations, name="orders", on_failure="warn")
    """
    return validate(
        data,
        expectations,
        name=name,
        on_failure=on_failure,
        quarantine=quarantine,
        key_columns=key_columns,
        context=context,
        options=options,
    )


@task
def gx_run_checkpoint(
    checkpoint: object,
    context: object,
    *,
    batch_parameters: Mapping[str, object] | None = None,
    expectation_parameters: Mapping[str, object] | None = None,
    on_failure: Literal["fail", "warn"] = "fail",
    options: ValidationOptions | None = None,
) -> ValidationReport:
    """Run a checkpoint of your own context with its actions, and return the report.

    Args:
        checkpoint: its name in the context, or the checkpoint itself.
        context: what `great_expectations.get_context` returned, or the folder of its project.
        batch_parameters: the batch: ``{"year": "2026"}``, or ``{"dataframe": orders}``.
        expectation_parameters: values for ``{"$PARAMETER": "name"}`` in expectations.
        on_failure: what happens if the data fails: ``fail`` or ``warn``.
        options: row values in the report, artifacts.

    Raises:
        CheckpointFailed: there is no such checkpoint, or it or one of its actions could not be run.
        DataQualityFailed: the data failed; the run's state has that name.
        ExpectationsNotEvaluated: an expectation could not be evaluated.

    Example:
        gx_run_checkpoint("daily", context, batch_parameters=batch_parameters)
    """
    return run_checkpoint(
        checkpoint,
        context,
        batch_parameters=batch_parameters or {},
        expectation_parameters=expectation_parameters or {},
        on_failure=on_failure,
        options=options or ValidationOptions(),
    )


agx_run_checkpoint = make_async_twin(gx_run_checkpoint, asyncio.to_thread)
agx_validate = make_async_twin(gx_validate, asyncio.to_thread)
