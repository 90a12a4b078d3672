"""What a validation does besides: values in its report, artifacts, parameters of the suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowstone.blocks import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    """What a validation does besides.

    Attributes:
        include_values: whether values of rows may be in the report: those that failed, minima,
            keys. They are people's data, and reports are kept for long.
        create_artifacts: whether the run gets a table of the expectations, and Data Docs.
        docs: where the page of Data Docs is written; without it, the artifact is a text.
        parameters: values for ``{"$PARAMETER": "name"}`` in expectations.
    """

    include_values: bool = False
    create_artifacts: bool = True
    docs: ObjectStore | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
