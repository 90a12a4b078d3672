"""ExpectationSuiteBlock: a suite of expectations that is saved by name."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from flowstone.blocks import Block


class ExpectationSuiteBlock(Block):
    """A suite of expectations, in Great Expectations' format; pass it to `validate`.

    The expectations are checked when they are used, so saving a block does not import Great
    Expectations.
    """

    _block_type_name: ClassVar[str | None] = "Expectation Suite"
    _block_type_slug: ClassVar[str | None] = "expectation-suite"
    _description: ClassVar[str | None] = "A Great Expectations suite."
    _code_example: ClassVar[str | None] = (
        "ExpectationSuiteBlock(\n"
        '    expectations=[{"type": "expect_column_values_to_not_be_null", '
        '"kwargs": {"column": "id"}}]\n'
        ').save("orders")\n'
        'validate(orders, ExpectationSuiteBlock.load("orders"), name="orders")'
    )

    expectations: list[dict[str, Any]] = Field(
        min_length=1, description="The expectations, each with type, kwargs, severity and notes."
    )
    suite_parameters: dict[str, Any] = Field(
        default_factory=dict, description="Values for $PARAMETER references in kwargs."
    )

    @field_validator("expectations")
    @classmethod
    def _check_types(cls, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for at, each in enumerate(given, 1):
            if not each.get("type"):
                raise ValueError(f"expectation {at} has no 'type'; write expect_column_to_exist")
        return given

    @classmethod
    def from_suite(cls, suite: Any) -> ExpectationSuiteBlock:
        """Return a block for a Great Expectations suite, or for a dict in its format."""
        found = suite if isinstance(suite, dict) else suite.to_json_dict()
        wanted = ("type", "kwargs", "severity", "notes", "meta")
        expectations = [
            {name: each[name] for name in wanted if each.get(name)}
            for each in found.get("expectations", [])
        ]
        return cls(expectations=expectations, suite_parameters=found.get("suite_parameters") or {})

    @property
    def suite(self) -> dict[str, Any]:
        """The suite, in Great Expectations' format."""
        return {"expectations": self.expectations, "suite_parameters": self.suite_parameters}
