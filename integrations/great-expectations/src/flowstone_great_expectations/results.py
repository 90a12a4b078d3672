"""Conversion of Great Expectations' results to plain values, by default without row values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import get_expectation_impl

from flowstone.records.redaction import redact
from flowstone_great_expectations.outcomes import LISTED, ExpectationOutcome

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

_ROW_LEVEL = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
#: Expectations that observe counts, proportions or column names; others observe row values.
_COUNTED = re.compile(
    r"expect_(?:table_(?:row|column)_count_to_\w+|table_columns_to_match_\w+"
    r"|column_unique_value_count_to_\w+|column_proportion_of_\w+|column_values_to_be_(?:of|in)_type\w*"
    r"|query_results_row_count_to_\w+)"
)
_HOUSEKEEPING = ("batch_id", "result_format", "catch_exceptions")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_TYPE = re.compile(
    r"(?:int|uint|float|complex)\d*|str|string|bool|object|bytes|date\w*|time\w*|\w*Type|[<>=!+*/-]{1,2}"
)
#: A message of MySQL: a number, and quoted text.
_CODED = re.compile(r"\(\d+, ([\"'])(.*)\1\)")
_LOGIN = re.compile(r"://[^/\s]*@")
#: Maximum length of an error message.
_LONGEST = 300


class Evaluated(NamedTuple):
    """The result of an expectation and all rows that failed it.

    Attributes:
        outcome: the result for the report.
        rows: the positions of the rows, or their keys in a database.
    """

    outcome: ExpectationOutcome
    rows: Sequence[Any]

    @property
    def is_separable(self) -> bool:
        """Whether it is known which rows failed."""
        count = self.outcome.unexpected_count
        return self.outcome.is_row_level and count is not None and len(self.rows) == count


def read_results(
    found: Iterable[ExpectationValidationResult], *, include_values: bool
) -> list[Evaluated]:
    """Return results in the order of their expectations; the ids are the numbers of these."""
    ordered = sorted(found, key=lambda each: int(_configuration(each).id or 0))
    return [read_result(each, include_values=include_values) for each in ordered]


def _configuration(result: ExpectationValidationResult) -> ExpectationConfiguration:
    assert result.expectation_config is not None
    return result.expectation_config


def read_result(
    result: ExpectationValidationResult, *, include_values: bool, validation: str | None = None
) -> Evaluated:
    """Return the result of one expectation.

    Args:
        result: Great Expectations' result.
        include_values: whether the result may contain row values.
        validation: the validation of a checkpoint that it belongs to.
    """
    configuration = _configuration(result)
    described: Mapping[str, Any] = configuration.to_json_dict()
    kind = str(described["type"])
    content: Mapping[str, Any] = result.result or {}
    kwargs = {
        name: value for name, value in described["kwargs"].items() if name not in _HOUSEKEEPING
    }
    error = _find_error(result.exception_info or {}, kwargs)
    rows = _list_rows(content.get("unexpected_index_list") or [])
    is_keyed = bool(rows) and isinstance(rows[0], Mapping)
    lists_rows = include_values or not is_keyed
    observed = content.get("observed_value")
    outcome = ExpectationOutcome(
        expectation=kind,
        validation=validation,
        kwargs=kwargs,
        success=bool(result.success) and error is None,
        severity=str(described.get("severity") or "critical"),
        is_row_level=issubclass(get_expectation_impl(kind), _ROW_LEVEL),
        element_count=_count(content.get("element_count")),
        unexpected_count=_count(content.get("unexpected_count")),
        unexpected_percent=_make_plain(content.get("unexpected_percent")),
        missing_count=_count(content.get("missing_count")),
        unexpected_rows=tuple(_make_plain(each) for each in rows[:LISTED]) if lists_rows else (),
        observed_value=_make_plain(observed)
        if include_values or _COUNTED.fullmatch(kind)
        else None,
        unexpected_values=tuple(_make_plain(content.get("partial_unexpected_list") or ()))
        if include_values
        else (),
        error=error,
        notes=_join(described.get("notes")),
    )
    return Evaluated(outcome, rows)


def _list_rows(found: Sequence[Any]) -> Sequence[Any]:
    """Return row numbers or keys, which may be grouped by column: ``[{"id": [1, 2]}]``."""
    if len(found) != 1 or not isinstance(found[0], Mapping):
        return found
    columns = found[0]
    if not all(isinstance(each, list) for each in columns.values()):
        return found
    return [dict(zip(columns, key, strict=True)) for key in zip(*columns.values(), strict=True)]


def _join(notes: object) -> str | None:
    if isinstance(notes, list):
        return "\n".join(map(str, notes))
    return None if notes is None else str(notes)


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _make_plain(value: Any) -> Any:
    """Return a JSON value: NumPy numbers as numbers, unsupported types as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _make_plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_make_plain(each) for each in value]
    if isinstance(value, float) and value != value:  # NaN
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


# ---------------------------------------------------------------- errors


def _find_error(info: Mapping[str, Any], kwargs: Mapping[str, Any]) -> str | None:
    """Return why an expectation could not be evaluated; None if it could.

    Older versions have one flat mapping, newer ones one for each metric.
    """
    found = [info] if "raised_exception" in info else [*info.values()]
    raised = [each for each in found if isinstance(each, Mapping) and each.get("raised_exception")]
    if not raised:
        return None
    message = str(raised[0].get("exception_message") or "")
    return _word_error(message, str(raised[0].get("exception_traceback") or ""), kwargs)


def _word_error(message: str, traceback: str, kwargs: Mapping[str, Any]) -> str:
    if missing := re.search(r'column "(.+?)" in BatchData does not exist', message):
        return f"there is no column {missing[1]!r}"
    # After these words come statements, their parameters, and a link.
    words = re.split(r"\[SQL:|\(Background on this", message)[0].removeprefix("Error: ")
    words = _CODED.sub(r"(\2)", words)
    words = " ".join(words.split()) or traceback.strip().rpartition("\n")[2].partition(":")[0]
    known = set(_texts(kwargs))
    words = _LOGIN.sub("://…@", words)
    words = _QUOTED.sub(lambda found: _keep_known(found, known), words)
    words = redact(words.rstrip(". "))
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _keep_known(found: re.Match[str], known: set[str]) -> str:
    """Return a quoted text of an error if it is an argument or a type, and not a row value."""
    text = found[1] if found[1] is not None else found[2]
    return found[0] if text in known or _TYPE.fullmatch(text) else "'…'"


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple, set)):
        for each in value:
            yield from _texts(each)
