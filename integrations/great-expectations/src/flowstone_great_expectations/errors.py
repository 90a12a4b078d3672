"""The errors of validations: data that failed, expectations that can't be evaluated or read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from flowstone.errors import FlowstoneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone_great_expectations.outcomes import ExpectationOutcome
    from flowstone_great_expectations.report import ValidationReport

#: Maximum number of expectations that a message names; the others are counted.
NAMED = 5


class GreatExpectationsError(FlowstoneError):
    """The root of the errors of this package."""


class DataQualityFailed(GreatExpectationsError, ValueError):
    """Data failed expectations; a run that ends with it is Failed, named `DataQualityFailed`.

    Attributes:
        report: the result of each expectation, without the data.
    """

    state_name: ClassVar[str] = "DataQualityFailed"

    def __init__(self, report: ValidationReport) -> None:
        self.report = report.without_data()
        found = [each for each in report.failed if each.severity == "critical"]
        problem = _name_some(found, lambda each: f"{each.label} ({each.describe_failure()})")
        remedy = (
            "Correct the data, or pass on_failure='warn' to continue with it, or "
            "on_failure='quarantine' and quarantine=STORE to set the failing rows aside."
        )
        if report.on_failure == "quarantine":
            remedy = (
                "Nothing was set aside, because not all of them say which rows failed: they are "
                "about the data as a whole. Correct the data, or pass on_failure='warn' to "
                "continue with it."
            )
        super().__init__(f"{report.name!r} failed {_count(found)}: {problem}. {remedy}")


class ExpectationsNotEvaluated(GreatExpectationsError, RuntimeError):
    """Expectations could not be evaluated, so it is unknown whether the data is good.

    Attributes:
        report: the result of each expectation, without the data.
    """

    def __init__(self, report: ValidationReport) -> None:
        self.report = report.without_data()
        problem = _name_some(report.errors, lambda each: f"{each.label} ({each.error})")
        also = f" In addition, the data failed {_count(report.failed)}." if report.failed else ""
        super().__init__(
            f"{report.name!r}: {_count(report.errors)} could not be evaluated: {problem}.{also} "
            "Correct the expectations, or the columns of the data."
        )


class ValidationInvalid(GreatExpectationsError, ValueError):
    """A validation can't be done with this data, these expectations or these options."""

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem}. {remedy}")


class CheckpointFailed(GreatExpectationsError, RuntimeError):
    """A checkpoint could not be run; one that ran and found bad data is `DataQualityFailed`."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        self.name, self.problem, self.remedy = name, problem, remedy
        super().__init__(f"checkpoint {name!r}: {problem}. {remedy}")


def _count(found: Sequence[ExpectationOutcome]) -> str:
    return "1 expectation" if len(found) == 1 else f"{len(found)} expectations"


def _name_some(found: Sequence[ExpectationOutcome], describe: Describe) -> str:
    named = "; ".join(describe(each) for each in found[:NAMED])
    more = len(found) - NAMED
    return f"{named}; and {more} more" if more > 0 else named


if TYPE_CHECKING:
    from collections.abc import Callable

    Describe = Callable[[ExpectationOutcome], str]
