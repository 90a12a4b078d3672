"""Records of a validation in a run: a table of the expectations, Data Docs, and measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone import record_measures, runtime
from flowstone.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from flowstone.blocks.external_work import find_logger
from flowstone_great_expectations.pages import render_markdown, render_page
from flowstone_great_expectations.slugs import make_slug

if TYPE_CHECKING:
    from flowstone_great_expectations.options import ValidationOptions
    from flowstone_great_expectations.outcomes import ExpectationOutcome
    from flowstone_great_expectations.report import ValidationReport

LOGGER = "flowstone.great_expectations"
#: Maximum number of expectations that an artifact lists; all of them are counted.
LISTED = 1000


def record_report(report: ValidationReport, options: ValidationOptions) -> None:
    """Record a report as artifacts and measures of the current run; outside a run, only a page.

    Args:
        report: the report of the validation.
        options: whether artifacts are wanted, and where pages are written.

    Raises:
        StorageError: the store for pages refused the write.
    """
    slug = make_slug(report.name)
    uri = None
    if options.docs is not None:
        path = f"{slug}/{runtime.task_run.id or runtime.flow_run.id or 'no-run'}.html"
        page = render_page(report).encode()
        saved = options.docs.write_path(path, page, content_type="text/html; charset=utf-8")
        uri = options.docs.uri(saved)
    if runtime.flow_run.id is None and runtime.task_run.id is None:
        return
    record_measures(_measure(report))
    if not options.create_artifacts:
        return
    summary = describe_report(report)
    rows = [make_row(each) for each in report.outcomes[:LISTED]]
    create_table_artifact(rows, f"gx-{slug}", summary)
    if uri is not None:
        create_link_artifact(uri, f"Data Docs of {report.name}", f"gx-{slug}-docs", summary)
    else:
        create_markdown_artifact(render_markdown(report), f"gx-{slug}-docs", summary)


def describe_report(report: ValidationReport) -> str:
    """Return a summary of a report in one line."""
    counts = report.statistics
    met, all_of_them = counts["successful_expectations"], counts["evaluated_expectations"]
    words = f"{report.name}: {met} of {all_of_them} expectations met"
    if report.errors:
        words += f", {len(report.errors)} not evaluated"
    if report.quarantined is not None:
        words += f", {report.quarantined.count:,} rows quarantined"
    return words


def make_row(outcome: ExpectationOutcome) -> dict[str, object]:
    """Return an outcome as a row of the summary."""
    return {
        "expectation": outcome.label,
        "severity": outcome.severity,
        "result": outcome.result,
        "rows": outcome.element_count,
        "failed": outcome.unexpected_count,
        "percent": None
        if outcome.unexpected_percent is None
        else round(outcome.unexpected_percent, 3),
        "detail": "" if outcome.success else outcome.describe_failure(),
    }


def log_report(report: ValidationReport) -> None:
    """Log failures that were passed on, and rows that were quarantined."""
    logger = find_logger(LOGGER)
    for each in report.failed:
        logger.warning(
            "%s: %s failed (%s): %s",
            *(report.name, each.label, each.severity, each.describe_failure()),
        )
    if report.quarantined is not None:
        logger.warning(
            "%s: %s rows were quarantined: %s",
            *(report.name, f"{report.quarantined.count:,}", report.quarantined.uri),
        )


def _measure(report: ValidationReport) -> dict[str, float]:
    counts = report.statistics
    found = {
        "rows_evaluated": counts["rows"],
        "rows_failed": counts["rows_failed"],
        "rows_quarantined": report.quarantined.count if report.quarantined else 0,
        "expectations_evaluated": counts["evaluated_expectations"],
        "expectations_failed": counts["unsuccessful_expectations"],
    }
    return {name: value for name, value in found.items() if value is not None}
