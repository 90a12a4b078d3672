"""Data Docs: a page that needs no network, and the same as Markdown."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from great_expectations import expectations as gxe

from flowstone_great_expectations import (
    ExpectationOutcome,
    ValidationReport,
    render_markdown,
    render_page,
    validate,
)

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

    from flowstone.blocks import LocalDirectory


class Page(HTMLParser):
    """Collects what a browser would load and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.loaded += [link for name in ("src", "href") if (link := found.get(name))]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_page_loads_nothing(
    orders: pd.DataFrame, expected: list[Expectation], store: LocalDirectory
) -> None:
    report = validate(orders, expected, name="orders", on_failure="quarantine", quarantine=store)
    text = render_page(report)
    page = Page(text)
    assert page.loaded == ["data:,"]
    assert not {"script", "iframe", "img"} & {*page.tags}
    assert "prefers-color-scheme:dark" in text
    told = " ".join(page.words)
    assert report.quarantined is not None
    for words in (
        "expect_column_values_to_not_be_null(column='customer')",
        ": 2 of 10 rows",
        "First rows that failed: 3, 7",
        report.quarantined.uri,
    ):
        assert words in told
    assert [word for word in page.words if word in {"The table", "customer", "price"}] == [
        "The table",
        "customer",
        "price",
    ]


def test_names_and_notes_are_no_markup() -> None:
    bad = "<script>alert(1)</script>"
    outcome = ExpectationOutcome(expectation=bad, kwargs={"column": bad}, notes=bad, error=bad)
    report = ValidationReport(bad, "warn", False, (outcome,), _count(1))
    assert "script" not in Page(render_page(report)).tags
    assert "Not evaluated" in render_page(report)


def test_a_page_of_good_data(orders: pd.DataFrame) -> None:
    report = validate(orders, [gxe.ExpectColumnToExist(column="id")], name="orders")
    assert "Passed" in Page(render_page(report)).words


def test_markdown(orders: pd.DataFrame, expected: list[Expectation]) -> None:
    report = validate(orders, expected, name="orders", on_failure="warn")
    lines = render_markdown(report).splitlines()
    assert lines[:4] == ["# orders: failed", "", "- expectations: 3", "- met: 1"]
    assert (
        "- **Failed** (critical) `expect_column_values_to_not_be_null(column='customer')`: "
        "1 of 10 rows"
    ) in lines


def _count(number: int) -> dict[str, float | None]:
    names = ("evaluated_expectations", "successful_expectations", "rows", "rows_failed")
    return dict.fromkeys(names, number)
