"""Great Expectations for Flowstone: validate data, quarantine failing rows, report on runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins import lazy_exports

if TYPE_CHECKING:
    from flowstone_great_expectations.errors import (
        CheckpointFailed,
        DataQualityFailed,
        ExpectationsNotEvaluated,
        GreatExpectationsError,
        ValidationInvalid,
    )
    from flowstone_great_expectations.gx_tasks import (
        agx_run_checkpoint,
        agx_validate,
        gx_run_checkpoint,
        gx_validate,
    )
    from flowstone_great_expectations.options import ValidationOptions
    from flowstone_great_expectations.outcomes import ExpectationOutcome
    from flowstone_great_expectations.pages import (
        render_markdown,
        render_page,
    )
    from flowstone_great_expectations.report import (
        QuarantinedRows,
        ValidationReport,
    )
    from flowstone_great_expectations.sources import (
        DatabaseSource,
        StoredFiles,
    )
    from flowstone_great_expectations.suite_block import ExpectationSuiteBlock
    from flowstone_great_expectations.validation import (
        avalidate,
        validate,
    )

__all__ = [
    "CheckpointFailed",
    "DataQualityFailed",
    "DatabaseSource",
    "ExpectationOutcome",
    "ExpectationSuiteBlock",
    "ExpectationsNotEvaluated",
    "GreatExpectationsError",
    "QuarantinedRows",
    "StoredFiles",
    "ValidationInvalid",
    "ValidationOptions",
    "ValidationReport",
    "agx_run_checkpoint",
    "agx_validate",
    "avalidate",
    "gx_run_checkpoint",
    "gx_validate",
    "render_markdown",
    "render_page",
    "validate",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".errors": (
                "CheckpointFailed",
                "DataQualityFailed",
                "ExpectationsNotEvaluated",
                "GreatExpectationsError",
                "ValidationInvalid",
            ),
            ".gx_tasks": ("agx_run_checkpoint", "agx_validate", "gx_run_checkpoint", "gx_validate"),
            ".options": ("ValidationOptions",),
            ".outcomes": ("ExpectationOutcome",),
            ".pages": ("render_markdown", "render_page"),
            ".report": ("QuarantinedRows", "ValidationReport"),
            ".sources": ("DatabaseSource", "StoredFiles"),
            ".suite_block": ("ExpectationSuiteBlock",),
            ".validation": ("avalidate", "validate"),
        },
    )
