"""What a validation found: a plain value, which any result storage can keep."""

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
    """Rows that were set aside.

    Attributes:
        path: the Parquet file in the store; its last column names what each row failed.
        uri: the same, for other tools.
        count: how many rows.
    """

    path: str
    uri: str
    count: int


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a validation found.

    Attributes:
        name: of the validation.
        on_failure: what was to happen to data that fails.
        success: whether the data met every expectation of severity ``critical``, and all could be
            evaluated.
        outcomes: how each expectation went, in the order in which they were given.
        statistics: counts: of expectations as Great Expectations has them, and of rows.
        data: what passed: the data in the kind it came, without the rows that were set aside. Of a
            table or query of a database that was left where it is, None.
        quarantined: the rows that were set aside; None where none were.
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
        """Expectations that the data did not meet, of any severity, the most severe first."""
        found = [each for each in self.outcomes if not each.success and each.error is None]
        return tuple(sorted(found, key=lambda each: _ORDER.index(each.severity)))

    @property
    def errors(self) -> tuple[ExpectationOutcome, ...]:
        """Expectations that could not be evaluated."""
        return tuple(each for each in self.outcomes if each.error is not None)

    @property
    def max_severity(self) -> str | None:
        """The highest severity of what failed; None where nothing did."""
        return self.failed[0].severity if self.failed else None

    def without_data(self) -> ValidationReport:
        """Return it without the data."""
        return replace(self, data=None)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the data, as JSON has it."""
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
