"""The report of a validation: a plain value that any result storage can store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone_great_expectations.outcomes import ExpectationOutcome

OnFailure = Literal["fail", "warn", "quarantine"]
_ORDER = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class QuarantinedRows:
    """Rows that were quarantined.

    Attributes:
        path: the Parquet file in the store; its last column lists the expectations that each row
            failed.
        uri: the address of the file, for other tools.
        count: the number of rows.
    """

    path: str
    uri: str
    count: int


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The report of a validation.

    Attributes:
        name: the name of the validation.
        on_failure: what happens to bad data.
        success: whether the data met every expectation of severity ``critical``, and all
            expectations could be evaluated.
        outcomes: the result of each expectation, in the order given.
        statistics: counts of expectations, named as in Great Expectations, and of rows.
        data: the data, in its original kind, without the quarantined rows; None if it stayed in a
            database.
        quarantined: the rows that were quarantined; None if there were none.
    """

    name: str
    on_failure: OnFailure
    success: bool
    outcomes: tuple[ExpectationOutcome, ...]
    statistics: Mapping[str, float | None]
    data: Any = field(default=None, repr=False, compare=False)
    quarantined: QuarantinedRows | None = None

    @property
    def failed(self) -> tuple[ExpectationOutcome, ...]:
        """The expectations that the data did not meet, of any severity, the most severe first."""
        found = [each for each in self.outcomes if not each.success and each.error is None]
        return tuple(sorted(found, key=lambda each: _ORDER.index(each.severity)))

    @property
    def errors(self) -> tuple[ExpectationOutcome, ...]:
        """The expectations that could not be evaluated."""
        return tuple(each for each in self.outcomes if each.error is not None)

    @property
    def max_severity(self) -> str | None:
        """The highest severity among the failed expectations; None if none failed."""
        return self.failed[0].severity if self.failed else None

    def without_data(self) -> ValidationReport:
        """Return a copy without the data."""
        return replace(self, data=None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the data, as JSON values."""
        return {
            "name": self.name,
            "on_failure": self.on_failure,
            "success": self.success,
            "outcomes": [
                {**asdict(each), "unexpected_rows": list(each.unexpected_rows),
                 "unexpected_values": list(each.unexpected_values)}
                for each in self.outcomes
            ],
            "statistics": dict(self.statistics),
            "quarantined": None if self.quarantined is None else asdict(self.quarantined),
        }  # fmt: skip
