"""Options of a validation: row values in its report, artifacts, suite parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    """Options of a validation.

    Attributes:
        include_values: whether the report may contain row values: failing values, minima, keys.
            They may be personal data, and reports are kept for a long time.
        create_artifacts: whether the run gets a table of the expectations and Data Docs.
        docs: the store that the Data Docs page is written to; without it, the docs are Markdown.
        parameters: values for ``{"$PARAMETER": "name"}`` in expectations.
    """

    include_values: bool = False
    create_artifacts: bool = True
    docs: ObjectStore | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
