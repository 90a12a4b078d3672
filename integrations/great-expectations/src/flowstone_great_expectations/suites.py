"""Reading expectations in any of the accepted forms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from great_expectations import ExpectationSuite
from great_expectations.exceptions.exceptions import DataContextError, GreatExpectationsError
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from flowstone_great_expectations.errors import ValidationInvalid
from flowstone_great_expectations.projects import open_context, stand_in
from flowstone_great_expectations.suite_block import ExpectationSuiteBlock

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.abstract_data_context import (
        AbstractDataContext,
    )

_FORMS = (
    "Pass a list of expectations, an ExpectationSuite, a dict or the path of a JSON file in the "
    "format of Great Expectations, or an ExpectationSuiteBlock."
)


@dataclass(frozen=True)
class Expectations:
    """The expectations of a validation.

    Attributes:
        configurations: the configurations in order, with their number as the id.
        parameters: the suite's values for its ``$PARAMETER`` references.
    """

    configurations: Sequence[ExpectationConfiguration]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_expectations(given: object, context: object = None) -> Expectations:
    """Return expectations from any of the accepted forms.

    Args:
        given: a list of expectations, a suite, a dict, the path of a JSON file, a saved block; or
            the name of a suite in the context.
        context: the caller's context, or the folder of its project.

    Raises:
        ValidationInvalid: one of them is not an expectation, or its arguments are wrong.
    """
    if isinstance(given, ExpectationSuiteBlock):
        given = given.suite
    opened = None if context is None else open_context(context)
    if isinstance(given, str) and opened is not None and not given.endswith(".json"):
        given = _find_suite(given, opened)
    elif isinstance(given, (str, Path)):
        given = _read_file(given)
    parameters: Mapping[str, Any] = {}
    if isinstance(given, Expectation):
        given = [given]
    elif isinstance(given, ExpectationSuite):
        parameters = given.suite_parameters or {}
        given = given.expectations
    elif isinstance(given, Mapping):
        given, parameters = _read_mapping(given)
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        problem = f"a {type(given).__name__} has no expectations"
        raise ValidationInvalid("expectations", problem, _FORMS)
    if not given:
        raise ValidationInvalid("expectations", "there are none", "Add one.")
    return Expectations([_configure(at, each) for at, each in enumerate(given)], parameters)


def _configure(at: int, given: object) -> ExpectationConfiguration:
    """Return an expectation's configuration; its id is its number, as results are unordered."""
    where = f"expectation {at + 1}"
    if isinstance(given, Mapping):
        given = _make_expectation(where, given)
    if isinstance(given, ExpectationConfiguration):
        given = given.to_domain_obj()
    if not isinstance(given, Expectation):
        problem = f"a {type(given).__name__} is not an expectation"
        remedy = "Use one of `great_expectations.expectations`, or a dict with type and kwargs."
        raise ValidationInvalid(where, problem, remedy)
    found = given.configuration
    found.id = str(at)
    return found


def _make_expectation(where: str, given: Mapping[str, Any]) -> Expectation:
    kind = given.get("type", given.get("expectation_type"))
    kwargs = given.get("kwargs", {})
    if not isinstance(kind, str) or not isinstance(kwargs, Mapping):
        problem = "it has no type, or its kwargs are not an object"
        remedy = (
            'Write {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}.'
        )
        raise ValidationInvalid(where, problem, remedy)
    words = {name: given[name] for name in ("meta", "notes", "severity") if given.get(name)}
    try:
        return ExpectationConfiguration(type=kind, kwargs=dict(kwargs), **words).to_domain_obj()
    except (GreatExpectationsError, TypeError, ValueError) as error:
        problem = f"{kind} can't be created: {' '.join(str(error).split()).rstrip('.')}"
        raise ValidationInvalid(where, problem, "Correct its type or its kwargs.") from error


def _read_mapping(given: Mapping[str, Any]) -> tuple[object, Mapping[str, Any]]:
    if "expectations" in given:
        return given["expectations"], given.get("suite_parameters") or {}
    if "type" in given or "expectation_type" in given:
        return [given], {}
    raise ValidationInvalid("expectations", "the suite has no 'expectations'", _FORMS)


def _read_file(path: str | Path) -> object:
    place = Path(path).expanduser()
    where = f"the suite {str(path)!r}"
    try:
        text = place.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Check the path. To use a suite by name, pass the `context` that has it."
        raise ValidationInvalid(where, f"it can't be read: {error}", remedy) from error
    try:
        return json.loads(text)
    except ValueError as error:
        problem = f"it is not JSON: {error}"
        raise ValidationInvalid(where, problem, "Correct the file.") from error


def _find_suite(name: str, context: AbstractDataContext) -> ExpectationSuite:
    try:
        with stand_in():
            return context.suites.get(name)
    except DataContextError as error:
        with stand_in():
            names = ", ".join(sorted(repr(each.name) for each in context.suites.all())) or "none"
        problem = f"the context has no suite of that name; it has: {names}"
        raise ValidationInvalid(f"the suite {name!r}", problem, "Check the name.") from error
