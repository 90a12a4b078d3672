"""Data Docs of one validation: an HTML page that needs no network, and the same in Markdown.

Great Expectations' own pages load styles and scripts from elsewhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowstone_great_expectations.outcomes import ExpectationOutcome
    from flowstone_great_expectations.report import ValidationReport

_STYLE = """
:root{color-scheme:light dark;--text:#1c2430;--soft:#566072;--back:#fff;--card:#f5f7fa;
--line:#d9dfe8;--good:#11683a;--bad:#b3261e;--odd:#8a5200}
@media(prefers-color-scheme:dark){:root{--text:#e8ecf2;--soft:#a9b4c4;--back:#12161c;--card:#1b212a;
--line:#333d4b;--good:#5fd394;--bad:#ff8a80;--odd:#ffc266}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.6rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.25rem 0;color:var(--soft)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.5rem 0}
dl div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}
dt{color:var(--soft);font-size:.85rem}dd{margin:0;font-size:1.4rem;font-variant-numeric:tabular-nums}
ul{list-style:none;margin:0;padding:0}
li{border:1px solid var(--line);border-left:.3rem solid var(--line);border-radius:.5rem;
padding:.75rem 1rem;margin:.5rem 0;background:var(--card)}
li.passed{border-left-color:var(--good)}li.failed{border-left-color:var(--bad)}
li.error{border-left-color:var(--odd)}
code{font:.9rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
b.passed{color:var(--good)}b.failed{color:var(--bad)}b.error{color:var(--odd)}
"""
_WORDS = {"passed": "Passed", "failed": "Failed", "error": "Not evaluated"}


def render_page(report: ValidationReport) -> str:
    """Return a report as a single HTML page, light or dark like the reader's system."""
    name = escape(report.name)
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    figures = "".join(
        f"<div><dt>{escape(word)}</dt><dd>{escape(figure)}</dd></div>"
        for word, figure in _list_figures(report)
    )
    groups = "".join(
        f"<section><h2>{escape(title)}</h2><ul>{''.join(map(_render_item, found))}</ul></section>"
        for title, found in _group(report)
    )
    verdict = _decide(report)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f'<link rel="icon" href="data:,"><title>{name}: {verdict}</title><style>{_STYLE}</style>'
        f'</head><body><main><h1>{name}</h1><p><b class="{verdict}">{_WORDS[verdict]}</b>, '
        f"{made}</p>{_render_quarantine(report)}<dl>{figures}</dl>{groups}</main></body></html>\n"
    )


def render_markdown(report: ValidationReport) -> str:
    """Return a report as Markdown."""
    lines = [f"# {report.name}: {_WORDS[_decide(report)].lower()}", ""]
    lines += [f"- {word}: {figure}" for word, figure in _list_figures(report)]
    if report.quarantined is not None:
        lines.append(f"- quarantine: {report.quarantined.uri}")
    for title, found in _group(report):
        lines += ["", f"## {title}", ""]
        for each in found:
            detail = "" if each.success else f": {each.describe_failure()}"
            lines.append(f"- **{_WORDS[each.result]}** ({each.severity}) `{each.label}`{detail}")
    return "\n".join(lines) + "\n"


def _decide(report: ValidationReport) -> str:
    if report.errors:
        return "error"
    return "passed" if report.success else "failed"


def _list_figures(report: ValidationReport) -> list[tuple[str, str]]:
    counts = report.statistics
    found = [
        ("expectations", counts["evaluated_expectations"]),
        ("met", counts["successful_expectations"]),
        ("rows", counts["rows"]),
        ("rows that failed", counts["rows_failed"]),
        ("rows in quarantine", report.quarantined.count if report.quarantined else None),
    ]
    return [(word, f"{figure:,}") for word, figure in found if figure is not None]


def _group(report: ValidationReport) -> list[tuple[str, list[ExpectationOutcome]]]:
    """Return the outcomes by subject: the table first, then column by column."""
    groups: dict[str | None, list[ExpectationOutcome]] = {}
    for each in report.outcomes:
        groups.setdefault(each.column, []).append(each)
    order = sorted(groups, key=lambda column: (column is not None, column or ""))
    return [(column or "The table", groups[column]) for column in order]


def _render_item(outcome: ExpectationOutcome) -> str:
    detail = "" if outcome.success else f": {escape(outcome.describe_failure())}"
    rows = ""
    if outcome.unexpected_rows:
        listed = ", ".join(map(str, outcome.unexpected_rows))
        rows = f"<p>First rows that failed: {escape(listed)}</p>"
    notes = "" if outcome.notes is None else f"<p>{escape(outcome.notes)}</p>"
    return (
        f'<li class="{outcome.result}"><code>{escape(outcome.label)}</code>'
        f'<p><b class="{outcome.result}">{_WORDS[outcome.result]}</b> '
        f"({escape(outcome.severity)}){detail}</p>{rows}{notes}</li>"
    )


def _render_quarantine(report: ValidationReport) -> str:
    if report.quarantined is None:
        return ""
    return f"<p>Failing rows are in <code>{escape(report.quarantined.uri)}</code></p>"
