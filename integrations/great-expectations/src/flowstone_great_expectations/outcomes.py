"""How one expectation went: plain values, and by default none that stands in a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Row numbers that an outcome lists; all of them are counted.
LISTED = 20
#: Longer arguments are cut in labels.
LONGEST = 60
#: Arguments that say how to evaluate, and not what.
_HOUSEKEEPING = frozenset({"batch_id", "result_format", "catch_exceptions"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationOutcome:
    """How one expectation went.

    Attributes:
        expectation: its type: ``expect_column_values_to_not_be_null``.
        validation: of a checkpoint, the validation that it belongs to.
        kwargs: its arguments, as JSON has them.
        success: whether the data met it; False where it could not be evaluated.
        severity: ``critical``, ``warning`` or ``info``.
        is_row_level: whether it is about each row, and not about the table or a column as a whole.
        element_count: rows that it was evaluated on; None for one that is not about rows.
        unexpected_count: rows that failed it.
        unexpected_percent: of the rows that have a value.
        missing_count: rows without a value.
        unexpected_rows: numbers of the first rows that failed, counted from 0; of a database,
            their keys, and only with `include_values`.
        observed_value: a count or a proportion; other values only with `include_values`.
        unexpected_values: some of the values that failed, with `include_values`.
        error: why it could not be evaluated; None where it could.
        notes: what its author wrote.
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
        """The column that it is about, if it is about one."""
        found = self.kwargs.get("column")
        return found if isinstance(found, str) else None

    @property
    def label(self) -> str:
        """What reports and quarantined rows call it: its type with its arguments."""
        given = ", ".join(
            f"{name}={_shorten(value)}"
            for name, value in self.kwargs.items()
            if name not in _HOUSEKEEPING
        )
        label = f"{self.expectation}({given})"
        return label if self.validation is None else f"{self.validation}: {label}"

    @property
    def result(self) -> str:
        """How it went, in a word: ``passed``, ``failed`` or ``error``."""
        if self.error is not None:
            return "error"
        return "passed" if self.success else "failed"

    def describe_failure(self) -> str:
        """Say in a few words how far the data is from what was expected."""
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
