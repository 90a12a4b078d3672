"""The docs pages of what each package offers, made from the same table as `flowstone catalog`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone import catalog
from flowstone.cli.sheets import Sheet, make_sheet
from flowstone.plugins import format_kind

from ..architecture.house import ROOT, members

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "docs/packages"


def packages() -> list[str]:
    """Return the packages that have a page: core, and the integrations."""
    return [each.name for each in members() if each.name != "flowstone-template"]


def page(package: str) -> str:
    """Return the page of a package."""
    return "\n".join(_lines(package)) + "\n"


def path(package: str) -> Path:
    return FOLDER / f"{package}.md"


def _lines(package: str) -> Iterator[str]:
    yield f"# What {package} offers"
    yield ""
    yield "<!-- Made by `make docs` of what the package offers: change its docstrings instead. -->"
    yield f"`flowstone catalog ls {package}` lists it, and `flowstone catalog show NAME` shows one."
    for kind in catalog.kinds():
        offers = [each for each in catalog.offers(kind) if each.plugin.distribution == package]
        if offers:
            yield from ("", f"## {format_kind(kind).capitalize()}s")
        for offer in offers:
            yield from _told(make_sheet(offer))


def _told(told: Sheet) -> Iterator[str]:
    yield from ("", f"### {told.name}", "")
    place = told.target.replace(":", ".")
    yield f"{_plain(told.summary)} `{place}`" + (f" → `{told.returns}`" if told.returns else "")
    if told.inputs:
        what = "field" if told.kind == "block" else "parameter"
        yield from ("", f"| {what} | type | default | what |", "|---|---|---|---|")
    for each in told.inputs:
        default = "required" if each.default is None else _code(each.default)
        cells = (f"`{each.name}`", _code(each.type), default, _plain(each.description))
        yield f"| {' | '.join(cells)} |"
    for part in told.notes.split("\n\n") if told.notes else ():
        listed = re.match(r"\w+:\n", part)  # as "Raises:", with its lines
        yield from ("", "```text", *part.splitlines(), "```") if listed else ("", _plain(part))
    if told.example:
        yield from ("", "```text", *told.example.splitlines(), "```")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def _plain(text: str) -> str:
    """Return a text that Markdown leaves as it is, code in it apart."""
    parts = re.split(r"(``.+?``|`[^`]*`)", " ".join(text.split()))
    parts[::2] = [re.sub(r"([*_<>\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts).replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for package in packages():
        path(package).write_text(page(package), "utf-8")


if __name__ == "__main__":
    main()
