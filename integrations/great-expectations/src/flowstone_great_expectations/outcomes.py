"""The result of one expectation: plain values, by default without row values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Maximum number of row numbers that an outcome lists; all failing rows are counted.
LISTED = 20
#: Maximum length of arguments in labels.
LONGEST = 60
#: Arguments that define how to evaluate, not what.
_HOUSEKEEPING = frozenset({"batch_id", "result_format", "catch_exceptions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """The result of one expectation.

    Attributes:
        expectation: its type, such as ``expect_column_values_to_not_be_null``.
        validation: in a checkpoint, the validation that it belongs to.
        kwargs: its arguments, as JSON values.
        success: whether the data met it; False if it could not be evaluated.
        severity: ``critical``, ``warning`` or ``info``.
        is_row_level: whether it is about each row, rather than a table or a column as a whole.
        element_count: the number of rows evaluated; None if it is not about rows.
        unexpected_count: the number of rows that failed it.
        unexpected_percent: their share of the rows that have a value.
        missing_count: the number of rows without a value.
        unexpected_rows: the positions of the first failing rows, counted from 0; for a database,
            their keys, and only with `include_values`.
        observed_value: a count or a proportion; other values only with `include_values`.
        unexpected_values: some of the failing values, with `include_values`.
        error: why it could not be evaluated; None if it was.
        notes: its author's notes.
    """

    expectation: str
    validation: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    success: bool = False
    severity: str = "critical"
    is_row_level: bool = False
    element_count: int | None = None
    unexpected_count: int | None = None
    unexpected_percent: float | None = None
    missing_count: int | None = None
    unexpected_rows: tuple[Any, ...] = ()
    observed_value: Any = None
    unexpected_values: tuple[Any, ...] = ()
    error: str | None = None
    notes: str | None = None

    @property
    def column(self) -> str | None:
        """The column that it tests; None if it does not test a single one."""
        found = self.kwargs.get("column")
        return found if isinstance(found, str) else None

    @property
    def label(self) -> str:
        """Its name in reports and quarantined rows: its type with its arguments."""
        given = ", ".join(
            f"{name}={_shorten(value)}"
            for name, value in self.kwargs.items()
            if name not in _HOUSEKEEPING
        )
        label = f"{self.expectation}({given})"
        return label if self.validation is None else f"{self.validation}: {label}"

    @property
    def result(self) -> str:
        """Its result in one word: ``passed``, ``failed`` or ``error``."""
        if self.error is not None:
            return "error"
        return "passed" if self.success else "failed"

    def describe_failure(self) -> str:
        """Describe briefly how the data differs from what was expected."""
        if self.error is not None:
            return self.error
        if self.unexpected_count is not None:
            return f"{self.unexpected_count:,} of {self.element_count or 0:,} rows"
        if self.observed_value is not None:
            return f"observed {_shorten(self.observed_value)}"
        return "not met"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
