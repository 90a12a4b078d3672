"""Deciding whether data passed, and what to raise if it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone_great_expectations.errors import DataQualityFailed, ExpectationsNotEvaluated
from flowstone_great_expectations.report import OnFailure, ValidationReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone_great_expectations.batches import DataBatch
    from flowstone_great_expectations.results import Evaluated


def find_failing(found: Sequence[Evaluated]) -> list[Evaluated]:
    """Return the failed expectations that fail the data: those of severity ``critical``."""
    return [
        each for each in found if not each.outcome.success and each.outcome.severity == "critical"
    ]


def make_report(
    name: str, on_failure: OnFailure, batch: DataBatch | None, found: Sequence[Evaluated]
) -> ValidationReport:
    """Return the report, before any rows are set aside.

    Args:
        name: the name of the validation.
        on_failure: what happens to bad data.
        batch: the data; None if a checkpoint brings its own.
        found: the result of each expectation.
    """
    outcomes = tuple(each.outcome for each in found)
    failing = find_failing(found)
    met = sum(each.success for each in outcomes)
    counted = [each.element_count for each in outcomes if each.element_count is not None]
    row_level = [each for each in failing if each.outcome.is_row_level]
    rows_failed = None
    if batch is not None and all(each.is_separable for each in row_level):
        rows_failed = batch.count_failing(row_level)
    data, rows = (None, None) if batch is None else (batch.data, batch.rows)
    if rows is None:
        rows = max(counted, default=None)
    statistics = {
        "evaluated_expectations": len(outcomes),
        "successful_expectations": met,
        "unsuccessful_expectations": len(outcomes) - met,
        "success_percent": 100 * met / len(outcomes) if outcomes else 100.0,
        "rows": rows,
        "rows_failed": rows_failed,
    }
    success = not failing and all(each.error is None for each in outcomes)
    return ValidationReport(name, on_failure, success, outcomes, statistics, data)


def find_error(report: ValidationReport, found: Sequence[Evaluated]) -> Exception | None:
    """Return the error that a validation raises; None if it returns data."""
    if report.errors:
        return ExpectationsNotEvaluated(report)
    failing = find_failing(found)
    whole = [each for each in failing if not each.is_separable]
    if report.on_failure == "fail" and failing:
        return DataQualityFailed(report)
    if report.on_failure == "quarantine" and whole:
        return DataQualityFailed(report)
    return None
